/**
 * The floor of what is ingested in batches: TPC-B-like transactions per second on the same server. It is what one row-by-row
 * transaction of a bank costs (three updates, a select, an insert), measured by PostgreSQL's own pgbench where there is one.
 */
import { execFile } from 'node:child_process';
import { cpus } from 'node:os';
import { promisify } from 'node:util';
import { Client } from 'pg';

const SCALE = 10;
const TELLERS = 10 * SCALE;
const ACCOUNTS = 100_000 * SCALE;
const CLIENTS = 2 * cpus().length;

export interface TpcB {
  /** Who measures. */
  readonly name: string;
  /** Transactions per second. */
  run(seconds: number): Promise<number>;
}

const execute = promisify(execFile);

/** Fills the tables in a database of their own. */
export async function tpcB(adminUrl: string): Promise<TpcB> {
  const workload = `scale ${SCALE}, ${CLIENTS} clients`;
  const version = await execute('pgbench', ['--version']).catch(() => null);
  if (version === null) {
    await fillTables(adminUrl);
    return {
      name: `TPC-B-like by a client of our own, no pgbench found; ${workload}`,
      run: (seconds) => ownClient(adminUrl, seconds),
    };
  }
  await execute('pgbench', ['--initialize', '--quiet', `--scale=${SCALE}`, adminUrl]);
  return { name: `${version.stdout.trim()}, TPC-B-like; ${workload}`, run: (seconds) => pgbench(adminUrl, seconds) };
}

async function pgbench(adminUrl: string, seconds: number): Promise<number> {
  const options = [`--client=${CLIENTS}`, `--jobs=${cpus().length}`, `--time=${seconds}`, '--no-vacuum'];
  const { stdout } = await execute('pgbench', [...options, adminUrl]);
  const tps = /^tps = ([\d.]+)/m.exec(stdout)?.[1];
  if (tps === undefined) throw new Error(`pgbench did not tell its tps: ${stdout}`);
  return Number(tps);
}

async function fillTables(adminUrl: string): Promise<void> {
  const client = new Client({ connectionString: adminUrl });
  await client.connect();
  await client.query(`
    CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88)) WITH (fillfactor = 100);
    CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84)) WITH (fillfactor = 100);
    CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84)) WITH (fillfactor = 100);
    CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
    INSERT INTO pgbench_branches SELECT n, 0, '' FROM generate_series(1, ${SCALE}) AS n;
    INSERT INTO pgbench_tellers SELECT n, (n - 1) / 10 + 1, 0, '' FROM generate_series(1, ${TELLERS}) AS n;
    INSERT INTO pgbench_accounts SELECT n, (n - 1) / 100000 + 1, 0, '' FROM generate_series(1, ${ACCOUNTS}) AS n;
    ANALYZE`);
  await client.end();
}

async function ownClient(adminUrl: string, seconds: number): Promise<number> {
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const client = new Client({ connectionString: adminUrl });
      await client.connect();
      return client;
    }),
  );
  const until = performance.now() + seconds * 1_000;
  let done = 0;
  const loop = async (client: Client) => {
    while (performance.now() < until) {
      await transaction(client);
      done += 1;
    }
  };
  await Promise.all(clients.map(loop));
  await Promise.all(clients.map((client) => client.end()));
  return done / seconds;
}

const anyOf = (count: number): number => 1 + Math.floor(Math.random() * count);

/** pgbench's built-in one, in its order. */
async function transaction(client: Client): Promise<void> {
  const [aid, tid, bid, delta] = [anyOf(ACCOUNTS), anyOf(TELLERS), anyOf(SCALE), anyOf(10_000) - 5_000];
  await client.query('BEGIN');
  await client.query(`UPDATE pgbench_accounts SET abalance = abalance + ${delta} WHERE aid = ${aid}`);
  await client.query(`SELECT abalance FROM pgbench_accounts WHERE aid = ${aid}`);
  await client.query(`UPDATE pgbench_tellers SET tbalance = tbalance + ${delta} WHERE tid = ${tid}`);
  await client.query(`UPDATE pgbench_branches SET bbalance = bbalance + ${delta} WHERE bid = ${bid}`);
  await client.query(
    `INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (${tid}, ${bid}, ${aid}, ${delta}, now())`,
  );
  await client.query('END');
}
