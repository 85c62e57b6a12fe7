/** The books of a wallet as PostgreSQL has them and as the model has them, both as lists of text to be compared. */
import type { Pool } from 'pg';
import { amountOf, availableIn, BUCKETS, balanceOf, heldOf, pinnedOf, restOf, total } from './naive-books.ts';
import type { NaiveWallet } from './naive-wallet.ts';
import { CAP_CODE, codeOf } from './rules.ts';

/** Lots, holds and transactions stand in the order in which they were made, and are named by their place in it. */
export interface ComparedBooks {
  /** Balance, debt, sequence, version, held; the subscription's status, plan, end of period, whether it ends, what follows. */
  readonly wallet: string;
  readonly buckets: readonly string[];
  readonly lots: readonly string[];
  readonly holds: readonly string[];
  readonly transactions: readonly string[];
  readonly entries: readonly string[];
  readonly purchases: readonly string[];
  readonly allowances: readonly string[];
  /** Of the present billing period. */
  readonly units: readonly string[];
  /** By cap or limit, in the present windows. */
  readonly spent: readonly string[];
  /** Of the present windows. */
  readonly operations: readonly string[];
  readonly keys: readonly string[];
}

const row = (...values: readonly unknown[]): string => values.map((value) => `${value ?? '-'}`).join(' ');

export function modelBooks(wallet: NaiveWallet): ComparedBooks {
  const { books } = wallet;
  const entries = books.transactions.flatMap((transaction) =>
    transaction.entries.map((entry) => ({ transaction: transaction.number, ...entry })),
  );
  return {
    wallet: row(
      balanceOf(books),
      books.debt,
      entries.length,
      books.version,
      heldOf(books),
      books.status,
      books.plan,
      books.periodEnd,
      books.ending,
      books.scheduled,
    ),
    buckets: BUCKETS.map((bucket) => {
      const pinned = total(books.lots.filter((lot) => lot.bucket === bucket).map((lot) => pinnedOf(books, lot)));
      return row(bucket, availableIn(books, bucket), pinned);
    }),
    lots: books.lots.map((lot) => {
      const { bucket, source, paid, granted, remaining, effectiveAt, expiresAt } = lot;
      return row(bucket, source, paid, granted, remaining, pinnedOf(books, lot), effectiveAt, expiresAt);
    }),
    holds: books.holds.map((hold) =>
      row(hold.status, hold.amount, hold.captured, restOf(hold), hold.createdAt, hold.expiresAt),
    ),
    transactions: books.transactions.map((transaction) => {
      const refunded = total(transaction.entries.map((entry) => entry.givenBack));
      return row(transaction.kind, amountOf(transaction), refunded, transaction.rateCardVersion);
    }),
    entries: entries.map(({ transaction, direction, amount, reason, lot, effectiveAt }) =>
      row(transaction, direction, amount, reason, lot?.number, effectiveAt),
    ),
    purchases: books.purchases.map((purchase) => purchase.status),
    allowances: books.allowances.map(({ bucket, next, amount }) => row(bucket, next, amount)).toSorted(),
    units: [...books.units]
      .filter(([, { since }]) => since === wallet.billing.start)
      .map(([rate, { halves }]) => row(rate, halves / 2))
      .toSorted(),
    spent: [...books.spent]
      .filter(([code, { since, used }]) => used > 0n && since === wallet.windowOf(wallet.windowNamed(code)).start)
      .map(([code, { used }]) => row(code, used))
      .toSorted(),
    operations: books.operations
      .filter(({ window, since }) => since === wallet.windowOf(window).start)
      .map(({ key, window, count }) => row(key, window, count))
      .toSorted(),
    keys: [...wallet.answers.keys()].toSorted(),
  };
}

interface StoredRow extends Omit<ComparedBooks, 'units' | 'spent' | 'operations'> {
  readonly units: readonly {
    readonly meter: string;
    readonly rate: { readonly match: { readonly tier?: string }; readonly preview: boolean };
    readonly since: number;
    readonly quantity: number;
  }[];
  readonly spent: readonly {
    readonly scope: 'ORGANIZATION' | 'PROJECT' | null;
    readonly window: 'HOUR' | 'DAY' | 'MONTH';
    readonly since: number;
    readonly used: string;
  }[];
  readonly operations: readonly {
    readonly key: string;
    readonly window: 'HOUR' | 'DAY';
    readonly since: number;
    readonly count: number;
  }[];
}

const ms = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::bigint`;
const text = (...columns: readonly string[]): string =>
  `array_to_string(ARRAY[${columns.map((c) => `${c}::text`)}], ' ', '-')`;
const list = (element: string, order: string, from: string): string =>
  `(SELECT coalesce(json_agg(${element} ORDER BY ${order}), '[]') FROM ${from})`;

const QUERY = `
  WITH numbered_lot AS (SELECT *, row_number() OVER (ORDER BY id) - 1 AS number FROM lot WHERE wallet_id = $1),
    numbered_transaction AS (
      SELECT *, row_number() OVER (ORDER BY id) - 1 AS number FROM ledger_transaction WHERE wallet_id = $1)
  SELECT
    ${text('w.balance_micros', 'w.debt_micros', 'w.sequence', 'w.version', '(SELECT coalesce(sum(pinned_micros), 0) FROM bucket WHERE wallet_id = w.id)', 's.status', 's.plan_key', ms('s.current_period_end'), 'coalesce(s.cancel_at_period_end, false)', 's.scheduled_plan_key')} AS wallet,
    ${list(text('key', 'available_micros', 'pinned_micros'), 'burn_priority', 'bucket WHERE wallet_id = w.id')} AS buckets,
    ${list(
      text(
        'b.key',
        'source',
        'paid',
        'granted_micros',
        'remaining_micros',
        'l.pinned_micros',
        ms('effective_at'),
        ms('expires_at'),
      ),
      'l.id',
      'numbered_lot l JOIN bucket b ON b.id = l.bucket_id',
    )} AS lots,
    ${list(
      text('status', 'amount_micros', 'captured_micros', 'remaining_micros', ms('created_at'), ms('expires_at')),
      'id',
      'hold WHERE wallet_id = w.id',
    )} AS holds,
    ${list(
      text(
        'kind',
        'amount_micros',
        '(SELECT coalesce(sum(amount_micros), 0) FROM ledger_transaction r WHERE r.refunded_id = t.id)',
        'rate_card_version',
      ),
      'id',
      'numbered_transaction t',
    )} AS transactions,
    ${list(
      text('t.number', 'direction', 'e.amount_micros', 'e.reason_code', 'l.number', ms('e.effective_at')),
      'sequence',
      'ledger_entry e JOIN numbered_transaction t ON t.id = e.transaction_id LEFT JOIN numbered_lot l ON l.id = e.lot_id WHERE e.wallet_id = w.id',
    )} AS entries,
    (SELECT json_agg(p.status ORDER BY wanted.place) FROM unnest($2::uuid[]) WITH ORDINALITY AS wanted (id, place)
     JOIN purchase p ON p.id = wanted.id) AS purchases,
    ${list(text('b.key', ms('next_refresh_at'), 'amount_micros'), 'b.key', 'allowance a JOIN bucket b ON b.id = a.bucket_id WHERE a.wallet_id = w.id')} AS allowances,
    ${list(
      `json_build_object('meter', meter, 'rate', rate::json, 'since', ${ms('period_start')}, 'quantity', quantity)`,
      'meter',
      'tier_counter WHERE wallet_id = w.id',
    )} AS units,
    ${list(
      `json_build_object('scope', l.scope, 'window', coalesce(l.per, 'DAY'), 'since', ${ms('window_start')}, 'used', used_micros::text)`,
      'limit_code',
      'spend_counter c LEFT JOIN spend_limit l ON l.id::text = c.limit_code WHERE c.wallet_id = w.id AND c.used_micros > 0',
    )} AS spent,
    ${list(
      `json_build_object('key', key, 'window', per, 'since', ${ms('window_start')}, 'count', operations)`,
      'key',
      'operation_counter WHERE wallet_id = w.id',
    )} AS operations,
    ${list('key', 'key', 'idempotency_record r WHERE r.organization_id = w.organization_id')} AS keys
  FROM wallet w LEFT JOIN plan_subscription s ON s.organization_id = w.organization_id
  WHERE w.id = $1`;

/** Counters of windows that are over say nothing; those of the present ones are compared. */
export async function storedBooks(
  pool: Pool,
  { walletId, purchases }: { readonly walletId: string; readonly purchases: readonly string[] },
  wallet: NaiveWallet,
): Promise<ComparedBooks> {
  const { rows } = await pool.query<StoredRow>({ name: 'stored-books', text: QUERY, values: [walletId, purchases] });
  const [found] = rows;
  if (!found) throw new Error(`there is no wallet ${walletId}`);
  const { billing } = wallet;
  const { units, spent, operations, ...books } = found;
  return {
    ...books,
    keys: books.keys.toSorted(),
    units: units
      .filter(({ since }) => since === billing.start)
      .map(({ meter, rate, quantity }) => row(meter, rate.match.tier ?? '', rate.preview, quantity))
      .toSorted(),
    spent: spent
      .filter(({ window, since }) => since === wallet.windowOf(window).start)
      .map(({ scope, window, used }) => row(scope === null ? CAP_CODE : codeOf({ scope, window }), used))
      .toSorted(),
    operations: operations
      .filter(({ window, since }) => since === wallet.windowOf(window).start)
      .map(({ key, window, count }) => row(key, window, count))
      .toSorted(),
  };
}
