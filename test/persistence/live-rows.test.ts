import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSql } from '../../src/persistence/connection.ts';
import { walletState } from '../../src/persistence/live-rows.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const ORGANIZATION = '10000000-0000-4000-8000-000000000000';
const WALLET = '20000000-0000-4000-8000-000000000000';
const BUCKETS = 8;

let database: TestDatabase;
let admin: Client;
beforeAll(async () => {
  database = await createDatabase();
  admin = new Client({ connectionString: database.adminUrl });
  await admin.connect();
  await admin.query(`
    INSERT INTO organization (id, slug, name, time_zone) VALUES ('${ORGANIZATION}', 'one', 'One', 'UTC');
    INSERT INTO wallet (id, organization_id, head_hash, last_posted_at)
      VALUES ('${WALLET}', '${ORGANIZATION}', decode(repeat('ab', 32), 'hex'), now());
    INSERT INTO bucket (id, wallet_id, key, name, kind, burn_priority, available_micros, pinned_micros)
      SELECT gen_random_uuid(), '${WALLET}', 'bucket_' || n, 'Bucket', 'PURCHASED', n, 1000 * n, n
      FROM generate_series(1, ${BUCKETS}) n`);
});
afterAll(async () => {
  await admin.end();
  await database[Symbol.asyncDispose]();
});

describe('the state of a wallet', () => {
  // The clock ticks within a statement: a plan that asks it for every bucket must not tear their sum.
  it.each([
    ['as PostgreSQL likes', []],
    ['by hashing', ['enable_nestloop']],
    ['by merging', ['enable_nestloop', 'enable_hashjoin']],
    ['by probing', ['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']],
  ])('sums all its buckets, joined %s', async (_plan, off) => {
    const sql = createSql(database.adminUrl, { applicationName: 'test', maxConnections: 1 });
    try {
      await sql`SELECT set_config(name, 'off', false) FROM unnest(${off}::text[]) AS name`;
      for (let reading = 0; reading < 50; reading++) {
        expect(await walletState(sql, WALLET)).toMatchObject({ totalAvailable: 36_000n, held: 36n });
      }
    } finally {
      await sql.end();
    }
  });
});
