/**
 * Arrays as PostgreSQL reads them: `{"a","b",NULL}`. A batch sends dozens of them with a row of the batch each; the driver's
 * own writer makes several strings per element, which cost more than everything else about a row.
 */
export type Element = string | number | bigint | boolean | null;

const SPECIAL = /["\\]/g;

export function arrayLiteral(elements: readonly Element[]): string {
  if (elements.length === 0) return '{}';
  return elements.every(isPlain) ? `{"${elements.join('","')}"}` : `{${elements.map(quoted).join()}}`;
}

/** What stands between quotes as it is. */
const isPlain = (element: Element): boolean =>
  typeof element === 'string' ? !element.includes('"') && !element.includes('\\') : element !== null;

const quoted = (element: Element): string =>
  element === null ? 'NULL' : `"${typeof element === 'string' ? element.replace(SPECIAL, '\\$&') : element}"`;
