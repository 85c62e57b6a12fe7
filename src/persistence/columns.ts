/** Values as the array parameters of set-based statements. */
import { formatInstant, type Instant } from '../domain/time/instant.ts';

export const jsonOrNull = (value: object | null): string | null => (value === null ? null : JSON.stringify(value));

export const amounts = (values: readonly bigint[]): string[] => values.map(String);

export const amountsOrNull = (values: readonly (bigint | null)[]): (string | null)[] =>
  values.map((value) => (value === null ? null : value.toString()));

/** As text, each distinct instant written once: a batch has few. */
export function instants(values: readonly (Instant | null)[]): (string | null)[] {
  const texts = new Map<Instant, string>();
  return values.map((at) => {
    if (at === null) return null;
    let text = texts.get(at);
    if (text === undefined) {
      text = formatInstant(at);
      texts.set(at, text);
    }
    return text;
  });
}
