/**
 * Relay connections over keyset pages. A cursor is the sort key of its row, so that a page costs the same wherever it
 * begins and nothing is skipped or repeated while rows are added. Page arguments are checked strictly: nothing is clamped.
 */
import type { ObjectRef } from '@pothos/core';
import { type BuilderTypes, builder } from './builder.ts';
import { badUserInput } from './errors.ts';

const MAX_PAGE = 100;
const DEFAULT_PAGE = 20;

export interface PageArguments {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

/** A page to read: `limit` rows beyond the cursor, from the end where `backwards`. */
export interface Page {
  readonly limit: number;
  readonly cursor: string | null;
  readonly backwards: boolean;
}

export function readPage({ first, after, last, before }: PageArguments): Page {
  const forwards = isGiven(first) || isGiven(after);
  const backwards = isGiven(last) || isGiven(before);
  if (forwards && backwards) throw badUserInput('Give first and after, or last and before, not both.');
  const limit = (backwards ? last : first) ?? DEFAULT_PAGE;
  const name = backwards ? 'last' : 'first';
  if (limit < 0) throw badUserInput(`${name} must not be negative.`);
  if (limit > MAX_PAGE) throw badUserInput(`${name} must be at most ${MAX_PAGE}.`);
  return { limit, cursor: (backwards ? before : after) ?? null, backwards };
}

const isGiven = (value: unknown): boolean => value !== null && value !== undefined;

export interface Edge<T> {
  readonly cursor: string;
  readonly node: T;
}

interface PageInfo {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  readonly startCursor: string | null;
  readonly endCursor: string | null;
}

export interface Connection<T> {
  readonly edges: readonly Edge<T>[];
  readonly pageInfo: PageInfo;
}

/**
 * Makes a connection of up to `limit + 1` rows, read in the page's direction; the extra one tells that there are more.
 */
export function connectionOf<T>(rows: readonly T[], page: Page, cursorOf: (row: T) => string): Connection<T> {
  const hasMore = rows.length > page.limit;
  const inPage = rows.slice(0, page.limit);
  const ordered = page.backwards ? inPage.toReversed() : inPage;
  const edges = ordered.map((node) => ({ node, cursor: cursorOf(node) }));
  return {
    edges,
    pageInfo: {
      hasNextPage: page.backwards ? page.cursor !== null : hasMore,
      hasPreviousPage: page.backwards ? hasMore : page.cursor !== null,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

/** A cursor as clients see it; `kind` keeps cursors of one list from being used in another. */
export function encodeCursor(kind: string, key: readonly (string | number | boolean | null)[]): string {
  return Buffer.from(JSON.stringify([kind, ...key])).toString('base64url');
}

/** The sort key in a cursor of that kind. Throws BAD_USER_INPUT for anything else. */
export function decodeCursor(kind: string, cursor: string, argument = 'after'): readonly unknown[] {
  const key = parseJson(Buffer.from(cursor, 'base64url').toString());
  if (!Array.isArray(key) || key[0] !== kind) throw badUserInput(`${argument} is not a cursor of this list.`);
  return key.slice(1);
}

/** A decimal integer that fits the BIGINT columns cursors are compared with. */
function cursorInteger(value: unknown, argument: string): bigint {
  if (typeof value !== 'string' || !/^\d{1,18}$/.test(value))
    throw badUserInput(`${argument} is not a cursor of this list.`);
  return BigInt(value);
}

/** The number in a cursor of rows that are numbered by wallet; of another wallet it is no cursor of this list. */
export const walletNumber = (kind: string, walletId: string, cursor: string, argument = 'after'): bigint =>
  ownNumber(kind, { wallet: walletId }, cursor, argument);

/** The number in a cursor of rows that are numbered by their owner; of another owner it is no cursor of this list. */
export function ownNumber(
  kind: string,
  owned: { readonly wallet: string } | { readonly organization: string },
  cursor: string,
  argument = 'after',
): bigint {
  const [owner, number] = decodeCursor(kind, cursor, argument);
  const [[what, id] = []] = Object.entries(owned);
  if (owner !== id) throw badUserInput(`${argument} is not a cursor of this ${what}.`);
  return cursorInteger(number, argument);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const PageInfoRef = builder.objectRef<PageInfo>('PageInfo').implement({
  description: 'Where a page lies in its list.',
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', { description: 'True where rows follow this page.' }),
    hasPreviousPage: t.exposeBoolean('hasPreviousPage', { description: 'True where rows precede this page.' }),
    startCursor: t.exposeString('startCursor', {
      nullable: true,
      description: 'The cursor of the first row; null for an empty page.',
    }),
    endCursor: t.exposeString('endCursor', {
      nullable: true,
      description: 'The cursor of the last row; null for an empty page. Give it as `after` to read on.',
    }),
  }),
});

/** Defines `<Name>Connection` and `<Name>Edge` over a node type. */
export function connectionType<T extends object>(name: string, node: ObjectRef<BuilderTypes, T>, order: string) {
  const edge = builder.objectRef<Edge<T>>(`${name}Edge`).implement({
    description: `One row of a ${name}Connection.`,
    fields: (t) => ({
      cursor: t.exposeString('cursor', { description: 'Give it as `after` or `before` to continue from this row.' }),
      node: t.field({ type: node, description: 'The row.', resolve: (parent) => parent.node as never }),
    }),
  });
  return builder.objectRef<Connection<T>>(`${name}Connection`).implement({
    description: `A page of a list, ${order}.`,
    fields: (t) => ({
      edges: t.field({ type: [edge], description: 'The rows of this page.', resolve: (parent) => [...parent.edges] }),
      pageInfo: t.field({
        type: PageInfoRef,
        description: 'Where this page lies.',
        resolve: (parent) => parent.pageInfo,
      }),
    }),
  });
}
