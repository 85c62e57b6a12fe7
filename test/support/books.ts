/** Checks the books of one wallet against themselves: what an audit would ask. */
import { Client } from 'pg';
import { expect } from 'vitest';
import { decodeId } from '../../src/graphql/ids.ts';
import type { TestDatabase } from './database.ts';

/** Rows of a query as the schema's owner. */
export async function query<Row extends object>(
  database: TestDatabase,
  sql: string,
  values: unknown[] = [],
): Promise<Row[]> {
  if (database.sessions) return (await database.sessions.query<Row>(sql, values)).rows;
  const client = new Client({ connectionString: database.adminUrl });
  await client.connect();
  try {
    return (await client.query<Row>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

const SIGNED = `CASE e.direction WHEN 'CREDIT' THEN e.amount_micros ELSE -e.amount_micros END`;

/**
 * Sums that must be equal in the books of the wallet $1, each named for what it is: the ledger, the lots and the debt are
 * the balance, the open holds are what is pinned, the rollups are what was charged.
 */
const SUMS = `
  SELECT w.balance_micros AS balance, w.sequence, w.version, w.debt_micros AS debt,
    (SELECT coalesce(sum(${SIGNED}), 0) FROM ledger_entry e WHERE e.wallet_id = w.id) AS entries,
    (SELECT coalesce(-sum(${SIGNED}), 0) FROM ledger_entry e WHERE e.wallet_id = w.id AND e.lot_id IS NULL) AS owed,
    (SELECT coalesce(sum(remaining_micros), 0) - w.debt_micros FROM lot l WHERE l.wallet_id = w.id) AS lots,
    (SELECT count(*) FROM ledger_entry e WHERE e.wallet_id = w.id) AS count,
    (SELECT coalesce(max(sequence), 0) FROM ledger_entry e WHERE e.wallet_id = w.id) AS highest,
    (SELECT count(*) FROM balance_change c WHERE c.wallet_id = w.id) AS changes,
    (SELECT coalesce(sum(available_micros), 0) FROM bucket b WHERE b.wallet_id = w.id) AS available,
    (SELECT coalesce(sum(remaining_micros - pinned_micros), 0) FROM lot l
      WHERE l.wallet_id = w.id AND in_force AND NOT frozen) AS spendable,
    (SELECT coalesce(sum(remaining_micros), 0) FROM hold h WHERE h.wallet_id = w.id AND status = 'OPEN') AS held,
    (SELECT coalesce(sum(p.pinned_micros), 0) FROM hold_pin p JOIN hold h ON h.id = p.hold_id
      WHERE h.wallet_id = w.id) AS pins,
    (SELECT coalesce(sum(pinned_micros), 0) FROM lot l WHERE l.wallet_id = w.id) AS pinned,
    (SELECT coalesce(sum(pinned_micros), 0) FROM bucket b WHERE b.wallet_id = w.id) AS pinned_in_buckets,
    (SELECT coalesce(-sum(amount_micros), 0) FROM ledger_transaction t
      WHERE t.wallet_id = w.id AND kind IN ('DEBIT', 'CAPTURE')) AS charged,
    (SELECT coalesce(sum(CASE jsonb_array_length(lines) WHEN 0 THEN 1 ELSE jsonb_array_length(lines) END), 0)
      FROM ledger_transaction t WHERE t.wallet_id = w.id AND kind IN ('DEBIT', 'CAPTURE')) AS events
  FROM wallet w WHERE w.id = $1`;

/** By grain: what the rollups hold of credits and events. */
const ROLLED_UP = `
  SELECT grain, sum(credits_micros) AS charged, sum(events) AS events
  FROM usage_rollup WHERE wallet_id = $1 GROUP BY grain`;

/** Rules of single rows. Each query finds those that break its rule. */
const OFFENCES: Readonly<Record<string, string>> = {
  'a transaction is the sum of its entries': `
    SELECT t.id FROM ledger_transaction t WHERE t.wallet_id = $1 AND t.amount_micros <>
      (SELECT coalesce(sum(${SIGNED}), 0) FROM ledger_entry e WHERE e.transaction_id = t.id)`,
  'the lines of a charge add up to it': `
    SELECT t.id FROM ledger_transaction t WHERE t.wallet_id = $1 AND jsonb_array_length(t.lines) > 0 AND -t.amount_micros <>
      (SELECT sum((line ->> 'credits')::bigint) FROM jsonb_array_elements(t.lines) line)`,
  'refunds are of charges and never more than those': `
    SELECT t.id FROM ledger_transaction t JOIN ledger_transaction r ON r.refunded_id = t.id
    WHERE t.wallet_id = $1 GROUP BY t.id
    HAVING sum(r.amount_micros) > -t.amount_micros OR t.kind NOT IN ('DEBIT', 'CAPTURE')
      OR bool_or(r.wallet_id <> t.wallet_id)`,
  'a hold reserves what its pins hold, and nothing once it has ended': `
    SELECT h.id FROM hold h WHERE h.wallet_id = $1 AND h.remaining_micros <>
      (SELECT coalesce(sum(p.pinned_micros), 0) FROM hold_pin p WHERE p.hold_id = h.id)`,
  'what is pinned of a lot is pinned by holds': `
    SELECT l.id FROM lot l WHERE l.wallet_id = $1 AND l.pinned_micros <>
      (SELECT coalesce(sum(p.pinned_micros), 0) FROM hold_pin p WHERE p.lot_id = l.id)`,
  'what is earmarked lies in lots': `
    SELECT a.id FROM allocation a
    CROSS JOIN LATERAL (
      SELECT coalesce(sum(remaining_micros - pinned_micros) FILTER (WHERE in_force AND NOT frozen), 0) AS available,
             coalesce(sum(pinned_micros), 0) AS pinned,
             coalesce(sum(remaining_micros - pinned_micros) FILTER (WHERE frozen), 0) AS frozen
      FROM lot WHERE allocation_id = a.id) l
    WHERE a.wallet_id = $1 AND (a.available_micros, a.pinned_micros, a.frozen_micros)
      IS DISTINCT FROM (l.available, l.pinned, l.frozen)`,
  'a bucket knows what of it is earmarked': `
    SELECT b.id FROM bucket b WHERE b.wallet_id = $1 AND b.earmarked_micros <>
      (SELECT coalesce(sum(remaining_micros - pinned_micros), 0) FROM lot
       WHERE bucket_id = b.id AND allocation_id IS NOT NULL AND in_force AND NOT frozen)`,
  'a hold has captured what its captures charged': `
    SELECT h.id FROM hold h WHERE h.wallet_id = $1 AND h.captured_micros <>
      (SELECT coalesce(-sum(t.amount_micros), 0) FROM ledger_transaction t WHERE t.hold_id = h.id)`,
  // A lapse is nobody's answer; what was captured or released was answered once under one key.
  'a hold is resolved once': `
    SELECT h.id FROM hold h JOIN wallet w ON w.id = h.wallet_id WHERE h.wallet_id = $1 AND
      (SELECT count(*) FROM idempotency_record r
       WHERE r.organization_id = w.organization_id AND r.outcome -> 'hold' ->> 'id' = h.id::text
         AND r.outcome -> 'hold' ->> 'status' <> 'OPEN') <> (h.status IN ('CAPTURED', 'RELEASED'))::int`,
  'a hold ends as it was answered': `
    SELECT h.id FROM hold h JOIN wallet w ON w.id = h.wallet_id
    JOIN idempotency_record r ON r.organization_id = w.organization_id AND r.outcome -> 'hold' ->> 'id' = h.id::text
    WHERE h.wallet_id = $1 AND r.outcome -> 'hold' ->> 'status' NOT IN ('OPEN', h.status::text)`,
  'the effective time never goes back': `
    SELECT e.sequence FROM ledger_entry e JOIN ledger_entry p ON p.wallet_id = e.wallet_id AND p.sequence = e.sequence - 1
    WHERE e.wallet_id = $1 AND e.effective_at < p.effective_at`,
};

/** Everything that the READMEs of the domain say of one wallet's rows. */
export async function expectSoundBooks(database: TestDatabase, organizationId: string): Promise<void> {
  const organization = decodeId('Organization', organizationId);
  const [wallet] = await query<{ id: string }>(database, 'SELECT id FROM wallet WHERE organization_id = $1', [
    organization,
  ]);
  if (!wallet) throw new Error('no such wallet');
  const ofWallet = [wallet.id];
  const [sums] = await query<Record<string, string>>(database, SUMS, ofWallet);
  if (!sums) throw new Error('no sums');
  const { balance, sequence, version, debt, available, held, charged, events } = sums;
  expect(sums).toMatchObject({
    ...{ entries: balance, lots: balance, owed: debt },
    ...{ count: sequence, highest: sequence, changes: version },
    ...{ spendable: available, pins: held, pinned: held, pinned_in_buckets: held },
  });
  const rollups = await query<{ grain: string }>(database, ROLLED_UP, ofWallet);
  for (const rollup of rollups) expect(rollup).toEqual({ grain: rollup.grain, charged, events });
  expect(rollups).toHaveLength(events === '0' ? 0 : 2);
  for (const [rule, offenders] of Object.entries(OFFENCES)) {
    expect(await query(database, offenders, ofWallet), rule).toEqual([]);
  }
}
