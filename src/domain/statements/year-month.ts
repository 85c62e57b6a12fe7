/** Months by their names, "2026-11". As text they sort as they follow one another. */
declare const form: unique symbol;

export type YearMonth = string & { readonly [form]: 'year-month' };

const PATTERN = /^\d{4}-(?:0[1-9]|1[0-2])$/;

/** Reads "2026-11", of the years 1 to 9999; undefined for anything else. */
export function parseYearMonth(text: string): YearMonth | undefined {
  return PATTERN.test(text) && !text.startsWith('0000') ? (text as YearMonth) : undefined;
}

/** The name of a calendar month that was cut. */
export function yearMonth(name: string): YearMonth {
  const month = parseYearMonth(name);
  if (month === undefined) throw new Error(`${name} is not the name of a month`);
  return month;
}
