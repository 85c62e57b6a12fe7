/**
 * The invariants of the books: none is broken by anything that the API can do, and each sees the one thing that is damaged
 * behind its back.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSql, fragment, type Queryable, type Sql } from '../../src/persistence/connection.ts';
import { INVARIANTS } from '../../src/persistence/invariants/all-invariants.ts';
import { findOffences } from '../../src/persistence/invariants/find-offences.ts';
import { RecordUsageDocument } from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { type BusyBooks, busyBooks, walkAtRandom } from '../support/busy-books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization } from '../support/given.ts';
import { tenantOf } from '../support/process-posting.ts';

let gateway: TestGateway;
let sql: Sql;
let books: BusyBooks;
let other: BusyBooks;
/** A wallet with so many charges. */
let large: string;
const LARGE = 1_500;
const UNDONE = new Error('undone');
beforeAll(async () => {
  gateway = await startTestGateway();
  sql = createSql(gateway.database.adminUrl, { applicationName: 'test', maxConnections: 1 });
  books = await busyBooks(gateway);
  other = await busyBooks(gateway);
  const { id, client } = await anOrganization(gateway, { credits: { purchased: '100000' } });
  const events = Array.from({ length: LARGE }, () => ({ idempotencyKey: aKey(), usage: { meter: 'search' } }));
  await client.run(RecordUsageDocument, { input: { events } });
  large = (await tenantOf(gateway.database, id)).walletId;
}, 60_000);
afterAll(async () => {
  await sql.end();
  await gateway[Symbol.asyncDispose]();
});

/** Everything that is found, by the invariant that it breaks. */
async function offences(asked: Queryable, walletIds: readonly string[] | null) {
  const found: Record<string, string[]> = {};
  for (const invariant of INVARIANTS) {
    const { offences: rows } = await findOffences(asked, invariant, walletIds, 5);
    if (rows.length > 0) {
      found[invariant.name] = rows.map((row) => `${row.subject}: ${row.expected} expected, ${row.found} found`);
    }
  }
  return found;
}

describe('the invariants of the books', () => {
  it('hold for the demo and for books in which everything has happened', async () => {
    expect(await offences(sql, null)).toEqual({});
    expect(await offences(sql, [books.walletId, other.walletId])).toEqual({});
  });

  it('hold after commands of chance', async () => {
    await walkAtRandom(gateway, other, 20_261_121);
    expect(await offences(sql, [other.walletId])).toEqual({});
  });

  it('are asked of all transactions of a wallet, however they are found', async () => {
    const [counts] = await query<{ busy: number; kinds: number }>(
      gateway.database,
      `SELECT count(*)::int AS busy, count(DISTINCT kind)::int AS kinds FROM ledger_transaction WHERE wallet_id = $1`,
      [books.walletId],
    );
    const every = {
      name: 'any',
      readsHistory: true,
      freezes: false,
      offences: fragment`SELECT wallet_id, 'any' AS subject, null AS expected, null AS found FROM ledger_transaction`,
    };
    expect(counts?.kinds).toBeGreaterThan(5);
    expect((await findOffences(sql, every, [books.walletId], 1)).count).toBe(counts?.busy);
  });
});

/** Statistics as they are of a table that was all different rows, and few of them. */
const OUTDATED = `DO $$ DECLARE c record; BEGIN
  FOR c IN SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name IN (SELECT tablename FROM pg_tables WHERE schemaname = 'public') LOOP
    PERFORM pg_restore_attribute_stats('schemaname', 'public', 'relname', c.table_name::text, 'attname', c.column_name::text,
      'inherited', false, 'null_frac', 0::real, 'avg_width', 16, 'n_distinct', -1::real);
  END LOOP;
END $$`;

interface PlanNode {
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Join Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** Pairs of rows that were looked at one by one to find that they do not belong together. */
const pairsTried = (node: PlanNode): number =>
  (node['Rows Removed by Join Filter'] ?? 0) * node['Actual Loops'] +
  (node.Plans ?? []).map(pairsTried).reduce((sum, pairs) => sum + pairs, 0);

describe('an invariant', () => {
  it.each(INVARIANTS)(
    'is asked in time that grows with the rows, whatever is known of them: $name',
    async (invariant) => {
      await sql
        .begin(async (tx) => {
          await tx(Object.assign([OUTDATED], { raw: [OUTDATED] }));
          let pairs = 0;
          const explained: Queryable = async (strings, ...values) => {
            if (!strings.at(-2)?.includes('AS offence')) return tx(strings, ...values);
            const text = [`EXPLAIN (ANALYZE, FORMAT JSON) ${strings[0]}`, ...strings.slice(1)];
            const [row] = await tx<{ 'QUERY PLAN': [{ Plan: PlanNode }] }[]>(
              Object.assign(text, { raw: text }),
              ...values,
            );
            if (row) pairs = pairsTried(row['QUERY PLAN'][0].Plan);
            return Object.assign([] as never, { count: 0, command: 'EXPLAIN' });
          };
          await findOffences(explained, invariant, [large], 1);
          expect(pairs).toBeLessThan(LARGE);
          throw UNDONE;
        })
        .catch((error: unknown) => {
          if (error !== UNDONE) throw error;
        });
    },
  );
});

/** Changes one thing as the owner of the database, with triggers off, and names the invariants that see it. */
async function namedAfter(damage: string): Promise<string[]> {
  let named: string[] = [];
  await sql
    .begin(async (tx) => {
      await tx`SET LOCAL session_replication_role = replica`;
      const statements = damage
        .replaceAll('$wallet', `'${books.walletId}'`)
        .replaceAll('$other', `'${other.walletId}'`);
      for (const statement of statements.split(';')) {
        const { count } = await tx(Object.assign([statement], { raw: [statement] }));
        if (/^\s*(UPDATE|DELETE|INSERT)/.test(statement)) expect(count).toBe(1);
      }
      const found = await offences(tx, [books.walletId]);
      expect(Object.keys(await offences(tx, null))).toEqual(expect.arrayContaining(Object.keys(found)));
      named = Object.keys(found);
      throw UNDONE;
    })
    .catch((error: unknown) => {
      if (error !== UNDONE) throw error;
    });
  return named;
}

const A_LOT = `(SELECT id FROM lot WHERE wallet_id = $wallet AND remaining_micros > 1000000 AND pinned_micros = 0
  AND in_force AND NOT frozen ORDER BY id LIMIT 1)`;
const A_CHARGE = `(SELECT id FROM ledger_transaction WHERE wallet_id = $wallet AND kind = 'DEBIT' ORDER BY id LIMIT 1)`;
const A_REFUND = `(SELECT id FROM ledger_transaction WHERE wallet_id = $wallet AND kind = 'REFUND' ORDER BY id LIMIT 1)`;
const ANY_REFUNDED = 'ALTER TABLE ledger_transaction DROP CONSTRAINT ledger_transaction_refund';
const A_PURCHASE = `(SELECT p.id FROM purchase p JOIN wallet w USING (organization_id)
  WHERE w.id = $wallet AND p.status = 'PAID' ORDER BY p.id LIMIT 1)`;
const A_RECORD = `organization_id = (SELECT organization_id FROM wallet WHERE id = $wallet) AND key = (
  SELECT idempotency_key FROM ledger_transaction WHERE wallet_id = $wallet AND kind = 'DEBIT' ORDER BY id LIMIT 1)`;
const CAPTURED = `(SELECT id FROM hold WHERE wallet_id = $wallet AND status = 'CAPTURED')`;

const FIRST_MONTH = `wallet_id = $wallet AND starts_at = (SELECT min(starts_at) FROM statement WHERE wallet_id = $wallet)`;

/** What is damaged, how, and the invariants that it breaks. */
const DAMAGES: readonly (readonly [what: string, damage: string, invariants: readonly string[]])[] = [
  [
    'a balance that somebody raised',
    'UPDATE wallet SET balance_micros = balance_micros + 1 WHERE id = $wallet',
    ['wallet = Σ entries', 'wallet = Σ lots − debt', 'wallet = newest entry'],
  ],
  [
    'a debt that is forgiven',
    'UPDATE wallet SET debt_micros = debt_micros + 5 WHERE id = $wallet',
    ['wallet = Σ lots − debt', 'debt = Σ entries without a lot', 'wallet = newest version'],
  ],
  [
    'a lot that is refilled',
    `ALTER TABLE lot DROP CONSTRAINT lot_amounts;
       UPDATE lot SET remaining_micros = granted_micros + 1 WHERE id = ${A_LOT}`,
    ['wallet = Σ lots − debt', 'lot = granted − its moves', 'bucket = Σ lots'],
  ],
  [
    'a lot that was granted more',
    `UPDATE lot SET granted_micros = granted_micros + 1 WHERE id = ${A_LOT}`,
    ['lot = granted − its moves'],
  ],
  [
    'a bucket that offers more than its lots have',
    `UPDATE bucket SET available_micros = available_micros + 1 WHERE wallet_id = $wallet AND key = 'purchased'`,
    ['bucket = Σ lots', 'wallet = newest version'],
  ],
  [
    'frozen credits that no lot has',
    `UPDATE bucket SET frozen_micros = frozen_micros + 1 WHERE wallet_id = $wallet AND key = 'purchased'`,
    ['bucket = Σ lots'],
  ],
  [
    'a bucket that has more earmarked than its lots',
    `UPDATE bucket SET earmarked_micros = earmarked_micros - 1 WHERE wallet_id = $wallet AND earmarked_micros > 0`,
    ['bucket = Σ lots'],
  ],
  [
    'an earmark that offers more than its lots have',
    'UPDATE allocation SET available_micros = available_micros + 1 WHERE wallet_id = $wallet',
    ['allocation = Σ lots'],
  ],
  [
    'an earmark of another wallet',
    `UPDATE allocation SET project_id = (SELECT p.id FROM project p JOIN wallet w USING (organization_id)
       WHERE w.id = $other LIMIT 1)
     WHERE wallet_id = $wallet`,
    ['no row crosses organizations'],
  ],
  [
    'a hold that reserves more than it pins',
    `UPDATE hold SET remaining_micros = remaining_micros - 1
       WHERE id = (SELECT id FROM hold WHERE wallet_id = $wallet AND status = 'OPEN' ORDER BY id LIMIT 1)`,
    ['held = Σ open holds'],
  ],
  [
    'a pin that is undone',
    `UPDATE hold_pin SET pinned_micros = 0 WHERE (hold_id, position) = (SELECT hold_id, position FROM hold_pin
         JOIN hold h ON h.id = hold_id WHERE h.wallet_id = $wallet AND h.status = 'OPEN' LIMIT 1)`,
    ['held = Σ open holds'],
  ],
  [
    'a captured hold that was released too',
    `INSERT INTO idempotency_record (organization_id, key, operation, request_hash, outcome, created_at)
       SELECT w.organization_id, 'second', 'release', sha256('a'),
         jsonb_build_object('hold', jsonb_build_object('id', h.id, 'status', 'RELEASED')), now()
       FROM hold h JOIN wallet w ON w.id = h.wallet_id WHERE h.id = ${CAPTURED}`,
    ['one resolution per hold'],
  ],
  [
    'a hold that captured more than its captures',
    `UPDATE hold SET captured_micros = captured_micros + 1 WHERE id = ${CAPTURED}`,
    ['one resolution per hold'],
  ],
  [
    'a hold that ended otherwise than it was answered',
    `UPDATE hold SET status = 'RELEASED' WHERE id = ${CAPTURED}`,
    ['one resolution per hold'],
  ],
  [
    'a refund of more than was charged',
    `UPDATE ledger_transaction SET refunded_id = (SELECT id FROM ledger_transaction
         WHERE wallet_id = $wallet AND kind = 'DEBIT' AND amount_micros > -3000000 ORDER BY id LIMIT 1)
       WHERE id = ${A_REFUND}`,
    ['Σ refunds ≤ original'],
  ],
  [
    'a refund that has lost its charge',
    `${ANY_REFUNDED};
       UPDATE ledger_transaction SET refunded_id = NULL WHERE id = ${A_REFUND}`,
    ['a refund names its charge'],
  ],
  [
    'a refund of what was no charge',
    `UPDATE ledger_transaction SET refunded_id = (SELECT id FROM ledger_transaction
         WHERE wallet_id = $wallet AND kind = 'GRANT' ORDER BY id LIMIT 1)
       WHERE id = ${A_REFUND}`,
    ['Σ refunds ≤ original', 'a refund names its charge'],
  ],
  [
    'a refund of what another wallet was charged',
    `UPDATE ledger_transaction SET refunded_id = (SELECT id FROM ledger_transaction
         WHERE wallet_id = $other AND kind = 'DEBIT' ORDER BY amount_micros LIMIT 1)
       WHERE id = ${A_REFUND}`,
    ['Σ refunds ≤ original', 'a refund names its charge', 'no row crosses organizations'],
  ],
  [
    'an expiry that passes for a refund',
    `${ANY_REFUNDED};
       UPDATE ledger_transaction SET refunded_id = ${A_CHARGE} WHERE id = (SELECT id FROM ledger_transaction
         WHERE wallet_id = $wallet AND kind = 'EXPIRY' ORDER BY id LIMIT 1)`,
    ['a refund names its charge'],
  ],
  [
    'an entry that is missing',
    'UPDATE ledger_entry SET sequence = 1000000 WHERE wallet_id = $wallet AND sequence = (SELECT sequence FROM wallet WHERE id = $wallet)',
    ['sequence 1…n', 'wallet = newest entry'],
  ],
  [
    'a balance that does not follow',
    'UPDATE ledger_entry SET balance_after_micros = balance_after_micros + 1 WHERE wallet_id = $wallet AND sequence = 3',
    ['balanceAfter chains'],
  ],
  [
    'an entry that counts from before the last',
    `UPDATE ledger_entry SET effective_at = '2001-01-01Z' WHERE wallet_id = $wallet AND sequence = 3`,
    ['effective in order'],
  ],
  [
    'the hash of the newest entry',
    `UPDATE wallet SET head_hash = sha256('a') WHERE id = $wallet`,
    ['wallet = newest entry'],
  ],
  [
    'a version that tells of more',
    `UPDATE balance_change SET total_available_micros = total_available_micros + 1
       WHERE wallet_id = $wallet AND version = (SELECT version FROM wallet WHERE id = $wallet)`,
    ['wallet = newest version', 'versions in turn'],
  ],
  [
    'a change that was not one',
    'UPDATE balance_change SET change_micros = change_micros + 1 WHERE wallet_id = $wallet AND version = 2',
    ['versions in turn'],
  ],
  [
    'a transaction of another amount',
    `UPDATE ledger_transaction SET amount_micros = amount_micros + 1 WHERE id = (SELECT id FROM ledger_transaction
         WHERE wallet_id = $wallet AND kind = 'GRANT' ORDER BY id LIMIT 1)`,
    ['transaction = Σ entries = Σ lines'],
  ],
  [
    'an effect under another key',
    `UPDATE ledger_transaction SET idempotency_key = 'another' WHERE id = ${A_CHARGE}`,
    ['one effect per key, one key per effect'],
  ],
  [
    'a key whose effect is another’s',
    `UPDATE idempotency_record SET outcome = jsonb_set(outcome, '{transactionId}', to_jsonb(gen_random_uuid()))
       WHERE ${A_RECORD}`,
    ['one effect per key, one key per effect'],
  ],
  [
    'a key that is forgotten',
    `DELETE FROM idempotency_record WHERE ${A_RECORD}`,
    ['one effect per key, one key per effect'],
  ],
  [
    'two effects under one key',
    `UPDATE ledger_transaction SET idempotency_key = (SELECT idempotency_key FROM ledger_transaction
         WHERE wallet_id = $wallet AND kind = 'DEBIT' ORDER BY id LIMIT 1)
       WHERE id = (SELECT id FROM ledger_transaction WHERE wallet_id = $wallet AND kind = 'EXPIRY' ORDER BY id LIMIT 1)`,
    ['one effect per key, one key per effect'],
  ],
  [
    'a purchase that was paid for more',
    `UPDATE purchase SET credits_micros = credits_micros + 1 WHERE id = ${A_PURCHASE}`,
    ['a paid purchase has one set of lots'],
  ],
  [
    'lots of a purchase that nobody paid',
    `UPDATE purchase SET status = 'FAILED', paid_at = NULL, receipt_issuer = NULL, receipt_sequence = NULL
       WHERE id = ${A_PURCHASE}`,
    ['a paid purchase has one set of lots'],
  ],
  [
    'a transaction of another wallet',
    `UPDATE ledger_transaction SET wallet_id = $other WHERE id = (SELECT id FROM ledger_transaction
         WHERE wallet_id = $wallet AND kind = 'EXPIRY' ORDER BY id LIMIT 1)`,
    ['no row crosses organizations'],
  ],
  [
    'a lot in a bucket of another wallet',
    `UPDATE lot SET bucket_id = (SELECT id FROM bucket WHERE wallet_id = $other AND key = 'promotional')
       WHERE id = (SELECT id FROM lot WHERE wallet_id = $wallet AND remaining_micros = 0 AND pinned_micros = 0
         ORDER BY id LIMIT 1)`,
    ['no row crosses organizations'],
  ],
  [
    'a purchase of another organization',
    `UPDATE ledger_transaction SET purchase_id = (SELECT p.id FROM purchase p JOIN wallet w USING (organization_id)
         WHERE w.id = $other LIMIT 1)
       WHERE id = ${A_CHARGE}`,
    ['no row crosses organizations'],
  ],
  [
    'usage that was reported twice',
    `UPDATE usage_rollup SET events = events + 1 WHERE ctid = (SELECT ctid FROM usage_rollup
         WHERE wallet_id = $wallet AND grain = 'DAY' LIMIT 1)`,
    ['rollups = Σ charges'],
  ],
  [
    'a statement that tells of other credits',
    `ALTER TABLE statement DROP CONSTRAINT statement_equation;
       UPDATE statement SET credited_micros = credited_micros + 1 WHERE ${FIRST_MONTH}`,
    ['statement: opening + movements = closing'],
  ],
  [
    'a statement in other words',
    `ALTER TABLE statement DROP CONSTRAINT statement_hash;
       UPDATE statement SET content = content || ' ' WHERE ${FIRST_MONTH}`,
    ['statement: opening + movements = closing'],
  ],
  ['a statement that is missing', `DELETE FROM statement WHERE ${FIRST_MONTH}`, ['closing = next opening']],
  [
    'an entry that is put into a closed month',
    `UPDATE statement SET ends_at = clock_timestamp() + interval '40 years', closed_at = clock_timestamp() + interval '40 years'
       WHERE wallet_id = $wallet AND starts_at = (SELECT max(starts_at) FROM statement WHERE wallet_id = $wallet)`,
    ['closing = next opening'],
  ],
];

describe('one damage', () => {
  it.each(DAMAGES)('is named: %s', async (_what, damage, invariants) => {
    expect(await namedAfter(damage)).toEqual(invariants);
  });

  it('is shown for each invariant there is', () => {
    const shown = new Set(DAMAGES.flatMap(([, , invariants]) => invariants));
    expect(INVARIANTS.map(({ name }) => name).filter((name) => !shown.has(name))).toEqual([]);
  });
});
