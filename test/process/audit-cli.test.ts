/** `purser audit` and `purser verify` on the database of a gateway, as the serving role: what they print, how they end. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { UNBROKEN_CHAIN } from '../../src/operations/audit-books.ts';
import { INVARIANTS } from '../../src/persistence/invariants/all-invariants.ts';
import { projectPath } from '../../src/project-path.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { anOrganization, type Given } from '../support/given.ts';
import { tenantOf } from '../support/process-posting.ts';
import { charge } from '../support/usage.ts';

let gateway: TestGateway;
let given: Given;
let walletId: string;
beforeAll(async () => {
  gateway = await startTestGateway();
  given = await anOrganization(gateway, { credits: { purchased: '100', promotional: '5' } });
  await charge(given.client, { amount: '7' });
  ({ walletId } = await tenantOf(gateway.database, given.id));
});
afterAll(() => gateway[Symbol.asyncDispose]());

async function purser(...args: readonly string[]) {
  const { PATH, HOME } = process.env;
  const env = { PATH, HOME, DATABASE_URL: gateway.gateway.databaseUrl };
  const child = spawn(process.execPath, [projectPath('dist/src/cli/main.js'), ...args], { env, stdio: 'pipe' });
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

/** Changes the books behind the triggers' back, until the test ends. */
async function damage(table: string, set: string, where: string, restore: string): Promise<void> {
  const change = async (to: string) => {
    await query(gateway.database, `ALTER TABLE ${table} DISABLE TRIGGER ALL`);
    await query(gateway.database, `UPDATE ${table} SET ${to} WHERE ${where}`);
    await query(gateway.database, `ALTER TABLE ${table} ENABLE TRIGGER ALL`);
  };
  await change(set);
  mending.push(() => change(restore));
}
const mending: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const mend of mending.splice(0)) await mend();
});

/** Of each line of the table: the invariant and how many rows offend. */
const counted = (stdout: string): [string, number][] =>
  [...stdout.matchAll(/^(\S.*?) {2,}(\d+) +\d+\.\d$/gm)].map(([, name = '', count]) => [name, Number(count)]);

describe('purser audit', () => {
  it('tells of each invariant how many rows offend and how long it took', async () => {
    const { code, stdout, stderr } = await purser('audit');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(counted(stdout)).toEqual([...INVARIANTS.map(({ name }) => [name, 0]), [UNBROKEN_CHAIN, 0]]);
    expect(stdout).toMatch(/\nthe books hold\n$/);
  });

  it('names the rows that break one, and fails', async () => {
    const lot = `wallet_id = '${walletId}' AND source = 'PROMOTION'`;
    await damage('lot', 'granted_micros = granted_micros + 1', lot, 'granted_micros = granted_micros - 1');
    const { code, stdout, stderr } = await purser('audit');
    expect(counted(stdout).filter(([, count]) => count > 0)).toEqual([['lot = granted − its moves', 2]]);
    expect(stdout).toMatch(
      new RegExp(`\\n {2}wallet ${walletId}: lot \\S+: 98000001 of 100000000 expected, 98000000 of 100000001 found`),
    );
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'purser: the books do not hold: lot = granted − its moves\n',
    });
  });
});

describe('purser verify', () => {
  it.each([
    ['every wallet', () => []],
    ['a wallet', () => [walletId]],
    ['an organization', () => [given.slug]],
  ])('walks %s', async (what, args) => {
    const { code, stdout, stderr } = await purser('verify', ...args());
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [wallets] = await query<{ count: number }>(gateway.database, 'SELECT count(*)::int FROM wallet');
    const [, entries, walked] = /: (\d+) entries of (\d+) wallets in [\d.]+ s, \d+ entries\/s\n$/.exec(stdout) ?? [];
    if (what === 'every wallet') expect(Number(walked)).toBe(wallets?.count);
    else expect({ entries, walked }).toEqual({ entries: '4', walked: '1' });
  });

  it('names the first link that is broken, and fails', async () => {
    const entry = `wallet_id = '${walletId}' AND sequence = 2`;
    await damage('ledger_entry', `actor_id = actor_id || 'x'`, entry, `actor_id = left(actor_id, -1)`);
    for (const args of [[], [walletId], [given.slug]]) {
      const { code, stdout, stderr } = await purser('verify', ...args);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(
        new RegExp(
          `^wallet ${walletId}: broken at entry 2, its hash: [0-9a-f]{64} expected, [0-9a-f]{64} found\\npurser: 1 of \\d+ chains broken: `,
        ),
      );
    }
    const { code, stdout } = await purser('audit');
    expect({ code, broken: counted(stdout).filter(([, count]) => count > 0) }).toEqual({
      code: 1,
      broken: [[UNBROKEN_CHAIN, 1]],
    });
  });

  it('says so where there is no such wallet', async () => {
    expect(await purser('verify', 'nobody')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'purser: there is no wallet or organization nobody.\n',
    });
  });
});
