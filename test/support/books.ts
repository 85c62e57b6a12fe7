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
  const client = new Client({ connectionString: database.adminUrl });
  await client.connect();
  try {
    return (await client.query<Row>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

/** Σ entries = Σ lots = balance, sequence and version without gaps, balances chained, aggregates equal to the lots. */
export async function expectSoundBooks(database: TestDatabase, organizationId: string): Promise<void> {
  const [wallet] = await query<{
    balance: string;
    entries: string;
    lots: string;
    sequence: string;
    count: string;
    highest: string;
    version: string;
    changes: string;
    buckets: string;
    spendable: string;
    broken: string;
  }>(
    database,
    `SELECT w.balance_micros AS balance, w.sequence, w.version,
       (SELECT coalesce(sum(CASE direction WHEN 'CREDIT' THEN amount_micros ELSE -amount_micros END), 0) FROM ledger_entry e WHERE e.wallet_id = w.id) AS entries,
       (SELECT coalesce(sum(remaining_micros), 0) FROM lot l WHERE l.wallet_id = w.id) AS lots,
       (SELECT count(*) FROM ledger_entry e WHERE e.wallet_id = w.id) AS count,
       (SELECT coalesce(max(sequence), 0) FROM ledger_entry e WHERE e.wallet_id = w.id) AS highest,
       (SELECT count(*) FROM balance_change c WHERE c.wallet_id = w.id) AS changes,
       (SELECT sum(available_micros) FROM bucket b WHERE b.wallet_id = w.id) AS buckets,
       (SELECT coalesce(sum(remaining_micros - pinned_micros), 0) FROM lot l WHERE l.wallet_id = w.id AND in_force AND NOT frozen) AS spendable,
       (SELECT count(*) FROM ledger_transaction t WHERE t.wallet_id = w.id AND t.amount_micros <>
         (SELECT coalesce(sum(CASE direction WHEN 'CREDIT' THEN amount_micros ELSE -amount_micros END), 0)
          FROM ledger_entry e WHERE e.transaction_id = t.id)) AS broken
     FROM wallet w WHERE organization_id = $1`,
    [decodeId('Organization', organizationId)],
  );
  if (!wallet) throw new Error('no such wallet');
  expect({ entries: wallet.entries, lots: wallet.lots }).toEqual({ entries: wallet.balance, lots: wallet.balance });
  expect({ count: wallet.count, highest: wallet.highest }).toEqual({
    count: wallet.sequence,
    highest: wallet.sequence,
  });
  expect(wallet.changes).toBe(wallet.version);
  expect(wallet.spendable).toBe(wallet.buckets);
  expect(wallet.broken).toBe('0');
}
