/** Pages of lists that are sorted by an instant and, for rows of the same instant, by id. */
import { isInCalendar } from '../domain/time/instant.ts';
import { badUserInput } from './errors.ts';
import { isUuid } from './ids.ts';
import { decodeCursor, encodeCursor, type Page } from './pages.ts';

type InstantField = 'createdAt' | 'occurredAt';

/** A list's kind of cursor, its instant and its direction. */
export interface DatedList<Field extends InstantField> {
  readonly kind: string;
  readonly field: Field;
  readonly order: 'asc' | 'desc';
}

export function datedPages<Field extends InstantField>({ kind, field, order }: DatedList<Field>) {
  return {
    orderBy: [{ [field]: order } as Record<Field, 'asc' | 'desc'>, { id: order }],
    cursorOf: (row: Readonly<Record<Field, Date>> & { readonly id: string }): string =>
      encodeCursor(kind, [row[field].toISOString(), row.id]),
    /** The rows after the page's cursor. */
    after({ cursor }: Page) {
      if (cursor === null) return {};
      const [at, id] = decodeCursor(kind, cursor);
      const instant = new Date(typeof at === 'string' ? at : Number.NaN);
      if (!isInCalendar(instant.getTime()) || !isUuid(id)) {
        throw badUserInput('after is not a cursor of this list.');
      }
      const comparison = order === 'asc' ? 'gt' : 'lt';
      return {
        OR: [{ [field]: { [comparison]: instant } }, { [field]: instant, id: { [comparison]: id } }],
      };
    },
  };
}
