/** Statements of closed months, and what decides which months of a wallet are closed. */

import { z } from 'zod';
import { parseDecimalSum } from '../../domain/credits/decimal.ts';
import { parseCredits } from '../../domain/credits/micros.ts';
import { groupBy } from '../../domain/group-by.ts';
import type { Tenant } from '../../domain/identity/caller.ts';
import type { StatedLife } from '../../domain/statements/months.ts';
import { creditedTotal, debitedTotal, type Statement, type StatementOwner } from '../../domain/statements/statement.ts';
import { yearMonth } from '../../domain/statements/year-month.ts';
import { formatInstant, type Instant, instant } from '../../domain/time/instant.ts';
import { CLOCK_COLUMNS, type ClockRow, nowOfRow } from '../clock.ts';
import { amounts, instants } from '../columns.ts';
import { fragment, type Queryable } from '../connection.ts';
import { type Due, type DuePage, dueTenants } from '../due-wallets.ts';
import { violatedConstraint } from '../errors.ts';
import { ZONE_COLUMNS, type ZoneRow, zoneOfRow } from '../time-zones.ts';

/** A wallet as its statements see it. */
export interface StatedWallet extends StatementOwner, StatedLife {
  readonly frozen: boolean;
  /** When the next transition comes due; null where none does. */
  readonly dueAt: Instant | null;
  readonly nextCloseAt: Instant;
  /** Of its newest statement; null before the first. */
  readonly lastHash: string | null;
}

interface WalletRow extends ClockRow, ZoneRow {
  organization_id: string;
  wallet_id: string;
  slug: string;
  created_at: Instant;
  next_transition_at: Instant | null;
  next_close_at: Instant;
  frozen: boolean;
  closed_until: Instant | null;
  last_hash: string | null;
}

/** The wallets of the organizations, in no order. */
export async function findStatedWallets(sql: Queryable, organizationIds: readonly string[]): Promise<StatedWallet[]> {
  const rows = await sql<WalletRow[]>`
    SELECT w.organization_id, w.id AS wallet_id, o.slug, w.created_at, w.next_transition_at,
      w.next_close_at, w.frozen_at IS NOT NULL AS frozen, ${ZONE_COLUMNS}, s.ends_at AS closed_until,
      encode(s.hash, 'hex') AS last_hash, ${CLOCK_COLUMNS}
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    LEFT JOIN LATERAL (
      SELECT ends_at, hash FROM statement WHERE wallet_id = w.id ORDER BY month DESC LIMIT 1
    ) s ON true
    WHERE w.organization_id = ANY(${[...organizationIds]}::uuid[])`;
  return rows.map((row) => ({
    organizationId: row.organization_id,
    walletId: row.wallet_id,
    slug: row.slug,
    zone: zoneOfRow(row),
    createdAt: row.created_at,
    closedUntil: row.closed_until,
    now: nowOfRow(row),
    frozen: row.frozen,
    dueAt: row.next_transition_at,
    nextCloseAt: row.next_close_at,
    lastHash: row.last_hash,
  }));
}

/** The same of one wallet, locked: until the transaction ends nothing is posted to it. Null where there is none. */
export async function lockStatedWallet(
  sql: Queryable,
  { organizationId, walletId }: Tenant,
): Promise<StatedWallet | null> {
  await sql`SELECT 1 FROM wallet WHERE id = ${walletId} FOR UPDATE`;
  return (await findStatedWallets(sql, [organizationId]))[0] ?? null;
}

/** A closed month as it is kept: the content is what its hash covers, byte by byte. */
export interface StoredStatement {
  readonly content: string;
  readonly hash: string;
}

/** Appends them. They follow one another and the newest one of the wallet, in this order, or the database refuses. */
export async function insertStatements(
  sql: Queryable,
  closed: readonly (StoredStatement & { readonly statement: Statement })[],
): Promise<void> {
  const statements = closed.map(({ statement }) => statement);
  await sql`
    INSERT INTO statement (wallet_id, month, starts_at, ends_at, opening_micros, credited_micros, debited_micros,
      closing_micros, opening_sequence, closing_sequence, content, hash, closed_at)
    SELECT wallet_id, month, starts_at, ends_at, opening, credited, debited, closing, opening_sequence, closing_sequence,
      content, decode(hash, 'hex'), closed_at
    FROM unnest(
      ${statements.map(({ walletId }) => walletId)}::uuid[],
      ${statements.map(({ month }) => month)}::text[],
      ${instants(statements.map(({ start }) => start))}::timestamptz[],
      ${instants(statements.map(({ end }) => end))}::timestamptz[],
      ${amounts(statements.map(({ opening }) => opening))}::bigint[],
      ${amounts(statements.map(creditedTotal))}::bigint[],
      ${amounts(statements.map(debitedTotal))}::bigint[],
      ${amounts(statements.map(({ closing }) => closing))}::bigint[],
      ${amounts(statements.map(({ openingSequence }) => openingSequence))}::bigint[],
      ${amounts(statements.map(({ closingSequence }) => closingSequence))}::bigint[],
      ${closed.map(({ content }) => content)}::text[],
      ${closed.map(({ hash }) => hash)}::text[],
      ${instants(statements.map(({ closedAt }) => closedAt))}::timestamptz[]
    ) AS s (wallet_id, month, starts_at, ends_at, opening, credited, debited, closing, opening_sequence,
      closing_sequence, content, hash, closed_at)`;
}

/** True where a statement of the same month was appended meanwhile. */
export function isClosedAlready(error: unknown): boolean {
  const constraint = violatedConstraint(error);
  return constraint === 'statement_pkey' || constraint === 'statement_wallet_id_starts_at_key';
}

/**
 * Whatever is posted from now on counts after the months up to `until`, also where the database's clock should go back.
 * The caller holds the wallet's lock.
 */
export async function endMonths(sql: Queryable, walletId: string, until: Instant): Promise<void> {
  await sql`
    UPDATE wallet SET last_posted_at = greatest(last_posted_at, ${formatInstant(until)}::timestamptz)
    WHERE id = ${walletId}`;
}

/** Notes when the next month can be closed. */
export async function noteNextClose(sql: Queryable, walletId: string, nextCloseAt: Instant): Promise<void> {
  await sql`UPDATE wallet SET next_close_at = ${formatInstant(nextCloseAt)}::timestamptz WHERE id = ${walletId}`;
}

/** Which statements; all that is given must hold. */
export interface StatementFilter {
  readonly month: string | null;
  readonly year: number | null;
  readonly monthOfYear: number | null;
  /** Of each wallet, newest first. */
  readonly limit: number;
}

interface StoredRow {
  wallet_id: string;
  content: string;
  hash: string;
}

/** The closed months of each wallet that the filter lets through, newest first. */
export async function findStatements(
  sql: Queryable,
  walletIds: readonly string[],
  { month, year, monthOfYear, limit }: StatementFilter,
): Promise<ReadonlyMap<string, StoredStatement[]>> {
  const [first, last] = monthRange(month, year);
  const rows = await sql<StoredRow[]>`
    SELECT w.wallet_id, s.content, encode(s.hash, 'hex') AS hash
    FROM unnest(${[...walletIds]}::uuid[]) AS w (wallet_id)
    CROSS JOIN LATERAL (
      SELECT month, content, hash FROM statement
      WHERE wallet_id = w.wallet_id AND month >= ${first} AND month <= ${last}
        AND (${monthOfYear}::int IS NULL OR right(month, 2)::int = ${monthOfYear}::int)
      ORDER BY month DESC LIMIT ${limit}
    ) s
    ORDER BY s.month DESC`;
  const byWallet = groupBy(rows, (row) => row.wallet_id);
  return new Map([...byWallet].map(([id, found]) => [id, found.map(({ content, hash }) => ({ content, hash }))]));
}

function monthRange(month: string | null, year: number | null): readonly [string, string] {
  if (month !== null) return [month, month];
  if (year === null) return ['0001-01', '9999-12'];
  const name = year.toString().padStart(4, '0');
  return [`${name}-01`, `${name}-12`];
}

const MONTH_END: Due = { at: fragment`w.next_close_at`, onFrozen: false };

/** Wallets of which a month may have ended by their organization's clock. */
export const walletsToClose = (sql: Queryable, page: DuePage): Promise<Tenant[]> => dueTenants(sql, MONTH_END, page);

const credits = z.string().transform((text, context) => {
  const value = parseCredits(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: 'not credits' });
  return z.NEVER;
});
const quantity = z.string().transform((text, context) => {
  const value = parseDecimalSum(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: 'not a decimal' });
  return z.NEVER;
});
const at = z.string().transform((text) => instant(Date.parse(text)));
const count = z.number().transform(BigInt);
const movement = z.object({ reasonCode: z.string(), credits, entries: count });

const content = z.object({
  organizationId: z.string(),
  slug: z.string(),
  walletId: z.string(),
  month: z.string().transform(yearMonth),
  timeZone: z.string(),
  startsAt: at,
  endsAt: at,
  closedAt: at.nullable().default(null),
  opening: credits,
  closing: credits,
  openingSequence: count,
  closingSequence: count,
  ledgerHash: z.string().nullable().default(null),
  previousHash: z.string().nullable().default(null),
  credited: z.array(movement),
  debited: z.array(movement),
  usage: z.array(
    z.object({
      meter: z.string().nullable().default(null),
      model: z.string().nullable().default(null),
      userId: z.string().nullable().default(null),
      projectId: z.string().nullable().default(null),
      isRest: z.boolean().default(false),
      quantity: quantity.nullable().default(null),
      credits,
      events: count,
    }),
  ),
});

/** The statement that a content tells. */
export function readStatement(text: string): Statement {
  const { startsAt: start, endsAt: end, ...told } = content.parse(JSON.parse(text));
  return { ...told, start, end };
}
