/**
 * Statements: what a month of a wallet adds up to, and the one text that tells it. The text is canonical JSON, so that
 * whoever has it can compute its hash; amounts are exact decimals, instants RFC 3339, ids those of the books.
 */
import { hash } from 'node:crypto';
import { canonicalJson, type JsonObject } from '../canonical.ts';
import { type Decimal, formatDecimal } from '../credits/decimal.ts';
import { formatCredits, type Micros, micros, sum } from '../credits/micros.ts';
import { formatInstant, type Instant } from '../time/instant.ts';
import type { StatedMonth } from './months.ts';

export const STATEMENT_SCHEME = 'purser-statement-1';

/** Reasons that a statement tells apart in each direction, and rows of its usage. */
export const MAX_MOVEMENTS = 200;
export const MAX_USAGE_ROWS = 1_000;

/** What the reasons beyond the first are summed up under; no reason code is written so. */
export const OTHER_REASONS = '*';

/** What came or went for one reason. */
export interface StatedMovement {
  readonly reasonCode: string;
  readonly credits: Micros;
  readonly entries: bigint;
}

/** Usage of one meter, model, user and project that was charged in the month; null where there is none. */
export interface StatedUsage {
  /** Null for charges by amount. */
  readonly meter: string | null;
  readonly model: string | null;
  readonly userId: string | null;
  readonly projectId: string | null;
  /** True where all further rows of the meter are summed up, whatever their model, user and project. */
  readonly isRest: boolean;
  /** Null for charges by amount. */
  readonly quantity: Decimal | null;
  /** What was charged; refunds do not change it. */
  readonly credits: Micros;
  /** Usage lines and charges by amount. */
  readonly events: bigint;
}

/** What the books say of a month. */
export interface StatementFigures {
  readonly opening: Micros;
  readonly closing: Micros;
  /** The newest entry before the month and the newest of it; 0 before the first of all. The same where it has none. */
  readonly openingSequence: bigint;
  readonly closingSequence: bigint;
  /** Of the newest entry at its end; null before the first of all. */
  readonly ledgerHash: string | null;
  readonly credited: readonly StatedMovement[];
  readonly debited: readonly StatedMovement[];
  readonly usage: readonly StatedUsage[];
}

/** Whose statement it is. */
export interface StatementOwner {
  readonly organizationId: string;
  readonly slug: string;
  readonly walletId: string;
}

export interface Statement extends StatementOwner, StatedMonth, StatementFigures {
  /** The zone in force as the month began. */
  readonly timeZone: string;
  /** In the organization's time; null while it is provisional. */
  readonly closedAt: Instant | null;
  /** The hash of the statement before; null for the first and while it is provisional. */
  readonly previousHash: string | null;
}

const total = (movements: readonly StatedMovement[]): Micros => sum(movements.map(({ credits }) => credits));

export const creditedTotal = ({ credited }: Pick<StatementFigures, 'credited'>): Micros => total(credited);
export const debitedTotal = ({ debited }: Pick<StatementFigures, 'debited'>): Micros => total(debited);

/** Opening + credited − debited = closing, over as many entries as the sequence has grown by. */
export function isBalanced(figures: StatementFigures): boolean {
  const { opening, closing, openingSequence, closingSequence, credited, debited } = figures;
  const entries = [...credited, ...debited].reduce((count, movement) => count + movement.entries, 0n);
  return opening + total(credited) - total(debited) === closing && openingSequence + entries === closingSequence;
}

/** Most credits first, then by reason; the small ones beyond the bound as one. */
export function boundMovements(movements: readonly StatedMovement[]): StatedMovement[] {
  const sorted = movements.toSorted((a, b) =>
    a.credits === b.credits ? compareText(a.reasonCode, b.reasonCode) : a.credits > b.credits ? -1 : 1,
  );
  if (sorted.length <= MAX_MOVEMENTS) return sorted;
  const others = sorted.slice(MAX_MOVEMENTS - 1);
  const entries = others.reduce((count, movement) => count + movement.entries, 0n);
  return [...sorted.slice(0, MAX_MOVEMENTS - 1), { reasonCode: OTHER_REASONS, credits: total(others), entries }];
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Movements of the same reason as one, each direction by itself. */
export function addMovements(
  some: readonly StatedMovement[],
  others: readonly StatedMovement[],
): readonly StatedMovement[] {
  const byReason = new Map<string, StatedMovement>();
  for (const { reasonCode, credits, entries } of [...some, ...others]) {
    const known = byReason.get(reasonCode);
    byReason.set(reasonCode, {
      reasonCode,
      credits: micros((known?.credits ?? 0n) + credits),
      entries: (known?.entries ?? 0n) + entries,
    });
  }
  return [...byReason.values()];
}

/** The numbers of its entries; null where it has none. */
export function entryRange({
  openingSequence,
  closingSequence,
}: Pick<StatementFigures, 'openingSequence' | 'closingSequence'>): {
  readonly from: bigint;
  readonly to: bigint;
} | null {
  return closingSequence > openingSequence ? { from: openingSequence + 1n, to: closingSequence } : null;
}

/** The canonical text. What has no value is left out. */
export function statementContent(statement: Statement): string {
  const range = entryRange(statement);
  const { start, end, closedAt } = statement;
  return canonicalJson({
    scheme: STATEMENT_SCHEME,
    status: closedAt === null ? 'OPEN' : 'CLOSED',
    organizationId: statement.organizationId,
    slug: statement.slug,
    walletId: statement.walletId,
    month: statement.month,
    timeZone: statement.timeZone,
    startsAt: formatInstant(start),
    endsAt: formatInstant(end),
    closedAt: closedAt === null ? null : formatInstant(closedAt),
    opening: formatCredits(statement.opening),
    closing: formatCredits(statement.closing),
    openingSequence: Number(statement.openingSequence),
    closingSequence: Number(statement.closingSequence),
    fromSequence: range === null ? null : Number(range.from),
    toSequence: range === null ? null : Number(range.to),
    credited: statement.credited.map(movementContent),
    debited: statement.debited.map(movementContent),
    usage: statement.usage.map(usageContent),
    ledgerHash: statement.ledgerHash,
    previousHash: statement.previousHash,
  });
}

const movementContent = ({ reasonCode, credits, entries }: StatedMovement): JsonObject => ({
  reasonCode,
  credits: formatCredits(credits),
  entries: Number(entries),
});

const usageContent = ({ quantity, credits, events, isRest, ...key }: StatedUsage): JsonObject => ({
  ...key,
  isRest: isRest || null,
  quantity: quantity === null ? null : formatDecimal(quantity),
  credits: formatCredits(credits),
  events: Number(events),
});

/** SHA-256 of the text in UTF-8, in hexadecimal. */
export const statementHash = (content: string): string => hash('sha256', content, 'hex');
