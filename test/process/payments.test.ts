/** kill −9 between what the payment provider has done and what the books say: after a restart they agree, by themselves. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../../src/graphql/ids.ts';
import { type PurchasePartsFragment, RefundPurchaseDocument } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { createClient } from '../support/gateway.ts';
import { aKey } from '../support/given.ts';
import {
  aDataDirectory,
  type DataDirectory,
  type GatewayProcess,
  type Manifest,
  startProcess,
} from '../support/process-gateway.ts';
import { awaitBlocked, eventually, holdWallet, openSession } from '../support/process-posting.ts';
import { begun } from '../support/purchases.ts';

let database: TestDatabase;
let directory: DataDirectory;
let gateway: GatewayProcess;
let manifest: Manifest;
beforeAll(async () => {
  database = await createDatabase();
  directory = await aDataDirectory();
  await start();
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await directory?.[Symbol.asyncDispose]();
  await database?.[Symbol.asyncDispose]();
});

async function start(): Promise<void> {
  gateway = await startProcess(directory, { DATABASE_URL: database.adminUrl });
  manifest = await gateway.manifest();
}

async function kill(): Promise<void> {
  expect(await gateway.stop('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
}

const sessionsEnd = () =>
  eventually(
    async () =>
      (
        await query(
          database,
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'purser%'`,
        )
      ).length === 0,
    'the sessions of the dead gateway end',
  );

const begin = () => begun({ client: createClient(manifest.endpoint, manifest.tokens.masterKey) });

/** Presses a button of whatever gateway runs; what it answers is lost with that gateway. */
const press = (checkoutUrl: string | null | undefined, button: string): Promise<unknown> =>
  fetch(`${checkoutUrl}/${button}`, { method: 'POST' }).then(
    (response) => response.status,
    () => null,
  );

interface Standing {
  readonly status: string;
  readonly outcome: string | null;
  readonly lots: number;
  readonly credits: number;
  readonly receipts: number;
}

/** What the provider and the books have of a purchase. */
async function standingOf(id: string): Promise<Standing> {
  const [row] = await query<Standing>(
    database,
    `SELECT p.status::text, c.outcome,
       (SELECT count(*)::int FROM lot WHERE purchase_id = p.id) AS lots,
       (SELECT coalesce(sum(granted_micros), 0)::float8 / 1000000 FROM lot WHERE purchase_id = p.id) AS credits,
       count(p.receipt_sequence) OVER ()::int AS receipts
     FROM purchase p JOIN sandbox_checkout c ON c.purchase_id = p.id
     WHERE p.id = $1`,
    [decodeId('Purchase', id)],
  );
  if (!row) throw new Error('no such purchase');
  return row;
}

const UNPAID = { status: 'PENDING', outcome: null, lots: 0, credits: 0, receipts: 0 };
const PAID = { status: 'PAID', outcome: 'PAID', lots: 2, credits: 5500, receipts: 1 };

/** No number is missing, and none was given twice. */
async function expectReceiptsWithoutGaps(): Promise<void> {
  const rows = await query<{ receipt_sequence: string }>(
    database,
    'SELECT receipt_sequence FROM purchase WHERE receipt_sequence IS NOT NULL ORDER BY 1',
  );
  expect(rows.map((row) => Number(row.receipt_sequence))).toEqual(rows.map((_, index) => index + 1));
}

describe('kill −9 after the provider has taken the money and before the books have the credits', () => {
  it('loses none: they come by themselves after the restart, once, with one receipt', async () => {
    const { id, checkoutUrl } = await begin();
    const held = await holdWallet(database, manifest.organization.id);
    const paying = press(checkoutUrl, 'pay');
    // Jobs wait for the wallet too: what tells is that the provider has the money.
    await eventually(async () => (await standingOf(id)).outcome === 'PAID', 'the money is taken');
    await held.awaitWaiting(1);
    expect(await standingOf(id)).toEqual({ ...UNPAID, outcome: 'PAID' });
    await kill();
    await held[Symbol.asyncDispose]();
    await paying;
    await sessionsEnd();
    expect(await standingOf(id)).toEqual({ ...UNPAID, outcome: 'PAID' });

    await start();

    await eventually(async () => (await standingOf(id)).status === 'PAID', 'the credits come', 30);
    expect(await press(checkoutOf(checkoutUrl), 'pay')).toBe(200);
    expect(await standingOf(id)).toEqual(PAID);
    await expectReceiptsWithoutGaps();
    await expectSoundBooks(database, manifest.organization.id);
  });

  it('at any moment leaves the provider and the books agreed in the end', async () => {
    const purchases: PurchasePartsFragment[] = [];
    for (const milliseconds of [5, 40, 90]) {
      const round = await Promise.all(Array.from({ length: 6 }, begin));
      purchases.push(...round);
      // One after the other, so that the moment meets them at different steps.
      const paying = (async () => {
        for (const { checkoutUrl } of round) await press(checkoutUrl, 'pay');
      })();
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      await kill();
      await paying;
      await sessionsEnd();
      await start();
    }
    const agreed = async () => {
      const standings = await Promise.all(purchases.map(({ id }) => standingOf(id)));
      return standings.every(({ status, outcome }) => (status === 'PAID') === (outcome === 'PAID'));
    };
    await eventually(agreed, 'all that was paid is in the books', 60);
    const standings = await Promise.all(purchases.map(({ id }) => standingOf(id)));
    for (const standing of standings) expect(standing).toEqual(standing.outcome === 'PAID' ? PAID : UNPAID);
    for (const { checkoutUrl } of purchases) expect(await press(checkoutOf(checkoutUrl), 'pay')).toBe(200);
    for (const { id } of purchases) expect(await standingOf(id)).toEqual(PAID);
    await expectReceiptsWithoutGaps();
    await expectSoundBooks(database, manifest.organization.id);
  });
});

describe('kill −9 after a refund was begun and before the provider’s answer is in the books', () => {
  it('has it completed after the restart: the money and the credits have gone back, once', async () => {
    const { id, checkoutUrl } = await begin();
    await press(checkoutUrl, 'pay');
    await using session = await openSession(database);
    await session.client.query('BEGIN');
    await session.client.query('SELECT 1 FROM sandbox_checkout WHERE purchase_id = $1 FOR UPDATE', [
      decodeId('Purchase', id),
    ]);
    const input = { purchaseId: id, idempotencyKey: aKey() };
    const operator = createClient(manifest.endpoint, manifest.tokens.operator);
    const refunding = operator.run(RefundPurchaseDocument, { input }).catch(() => null);
    await awaitBlocked(database, 1);
    await kill();
    await refunding;
    await session.client.query('COMMIT');
    await sessionsEnd();
    expect(await standingOf(id)).toMatchObject({ status: 'PAID' });

    await start();

    await eventually(async () => (await standingOf(id)).status === 'REFUNDED', 'the refund is completed', 30);
    const lots = await query<{ remaining: string }>(
      database,
      `SELECT remaining_micros::text AS remaining FROM lot WHERE purchase_id = $1 AND revoked AND NOT frozen`,
      [decodeId('Purchase', id)],
    );
    expect(lots).toEqual([{ remaining: '0' }, { remaining: '0' }]);
    await expectSoundBooks(database, manifest.organization.id);
  });
});

/** The page at the gateway that runs now: each start has a port of its own. */
const checkoutOf = (checkoutUrl: string | null | undefined): string =>
  new URL(new URL(checkoutUrl ?? '').pathname, manifest.endpoint).toString();
