/** Books in which everything has happened that can happen to a wallet, by calls of the API alone. */
import fc from 'fast-check';
import { decodeId } from '../../src/graphql/ids.ts';
import { closeMonths } from '../../src/operations/close-months.ts';
import { databaseNow } from '../../src/persistence/clock.ts';
import { AdjustBalanceDocument, RefundPurchaseDocument, RevokeGrantDocument } from '../generated/documents.ts';
import { query } from './books.ts';
import type { TestGateway } from './gateway.ts';
import { advanceTo, aKey, anOrganization, type Given, grant } from './given.ts';
import { begun } from './purchases.ts';
import { aProject, authorize, capture, charge, refund } from './usage.ts';

export interface BusyBooks {
  readonly given: Given;
  readonly organizationId: string;
  readonly walletId: string;
}

const DAY_MILLISECONDS = 86_400_000;

/** Charges and refunds, holds of every end and two that are open, debt, expiries, purchases of every status, closed months. */
export async function busyBooks(gateway: TestGateway): Promise<BusyBooks> {
  const given = await anOrganization(gateway, { plan: 'free' });
  const { id, client } = given;
  const now = await databaseNow(gateway.gateway.services.sql);
  await grant(gateway, id, 'promotional', '500');
  await buyAndReturn(gateway, given);
  await holdAndResolve(given);
  await earmark(given);
  const charged = await charge(client, { amount: '33.333333', metadata: { job: 'a', deep: { b: [1, null, 'é'] } } });
  await refund(client, { transactionId: charged, amount: '11' });
  await refund(client, { transactionId: charged });
  await charge(client, {
    usage: [{ meter: 'scrape', quantity: '3', dimensions: { render_js: true } }],
    taskId: 'task',
  });
  // Nothing of it is spent before it expires.
  await grant(gateway, id, 'promotional', '40', new Date(now + DAY_MILLISECONDS).toISOString());
  await advanceTo(gateway, id, new Date(now + 65 * DAY_MILLISECONDS).toISOString());
  // The day's hold lapsed with it, and two months can be closed; these two stay open.
  await authorize(client, { amount: '5' });
  await authorize(client, { amount: '7', taskId: 'task' });
  await charge(client, { amount: '2' });
  const [row] = await query<{ wallet_id: string; organization_id: string }>(
    gateway.database,
    'SELECT id AS wallet_id, organization_id FROM wallet WHERE organization_id = $1',
    [decodeId('Organization', id)],
  );
  if (!row) throw new Error('no wallet');
  await closeMonths(gateway.gateway.services, { organizationId: row.organization_id, walletId: row.wallet_id });
  return { given, organizationId: row.organization_id, walletId: row.wallet_id };
}

async function buyAndReturn(gateway: TestGateway, given: Given): Promise<void> {
  const { id, client } = given;
  const operator = gateway.as(gateway.demo.tokens.operator);
  const press = async (checkoutUrl: string | null, ...buttons: readonly string[]) => {
    for (const button of buttons) await fetch(`${checkoutUrl}/${button}`, { method: 'POST' });
  };
  await press((await begun(given)).checkoutUrl, 'pay');
  await press((await begun(given)).checkoutUrl, 'decline');
  await press((await begun(given)).checkoutUrl, 'pay', 'dispute', 'dispute-won');
  await press((await begun(given)).checkoutUrl, 'pay', 'dispute');
  const lost = await begun(given);
  await press(lost.checkoutUrl, 'pay');
  const refunded = await begun(given);
  await press(refunded.checkoutUrl, 'pay');
  await operator.run(RefundPurchaseDocument, {
    input: { purchaseId: refunded.id, reason: 'test', idempotencyKey: aKey() },
  });
  // Spent in part before it is lost: that part is owed, and repaid by the next grant.
  const { data } = await client.raw<{ organization: { wallet: { totalAvailable: string } } }>(
    'query($id: ID!) { organization(id: $id) { wallet { totalAvailable } } }',
    { id },
  );
  await charge(client, { amount: `${Number(data?.organization.wallet.totalAvailable) - 50}` });
  await press(lost.checkoutUrl, 'dispute', 'dispute-lost');
  await grant(gateway, id, 'promotional', '9000');
  const adjusted = await operator.run(AdjustBalanceDocument, {
    input: { organizationId: id, bucketKey: 'promotional', credits: '-10', reason: 'test', idempotencyKey: aKey() },
  });
  if (adjusted.adjustBalance.__typename !== 'AdjustPayload') throw new Error(JSON.stringify(adjusted));
  const lotId = await newestGrant(gateway, given);
  await grant(gateway, id, 'promotional', '12');
  const revoked = await operator.run(RevokeGrantDocument, {
    input: { lotId, reason: 'test', idempotencyKey: aKey() },
  });
  if (revoked.revokeGrant.__typename !== 'AdjustPayload') throw new Error(JSON.stringify(revoked));
  await grant(gateway, id, 'promotional', '800');
}

async function newestGrant(gateway: TestGateway, { slug }: Given): Promise<string> {
  const { data } = await gateway
    .as(gateway.demo.tokens.operator)
    .raw<{ organization: { wallet: { lots: { edges: { node: { id: string } }[] } } } }>(
      'query($slug: String!) { organization(slug: $slug) { wallet { lots(first: 100) { edges { node { id source } } } } } }',
      { slug },
    );
  const lots = data?.organization.wallet.lots.edges.map(({ node }) => node as { id: string; source: string }) ?? [];
  const found = lots.findLast(({ source }) => source === 'PROMOTION');
  if (!found) throw new Error('no grant');
  return found.id;
}

/** Some of it is used, some held, and some given back. */
async function earmark(given: Given): Promise<void> {
  const { client } = given;
  const projectId = await aProject(given, 'team');
  const set = (credits: string) =>
    client.raw('mutation($input: SetAllocationInput!) { setAllocation(input: $input) { __typename } }', {
      input: { projectId, credits },
    });
  await set('60');
  const charged = await charge(client, { projectId, amount: '10' });
  await refund(client, { transactionId: charged, amount: '4' });
  await authorize(client, { projectId, amount: '3', expiresInSeconds: 60 });
  await set('40');
}

async function holdAndResolve({ client }: Given): Promise<void> {
  const captured = await authorize(client, { amount: '20' });
  await capture(client, { holdId: captured, amount: '4', final: false });
  await capture(client, { holdId: captured, amount: '6' });
  const released = await authorize(client, { amount: '8' });
  await client.raw('mutation($input: ReleaseInput!) { release(input: $input) { __typename } }', {
    input: { holdId: released, idempotencyKey: aKey() },
  });
  await authorize(client, { amount: '3', expiresInSeconds: 60 });
  const partly = await authorize(client, { amount: '9', expiresInSeconds: 60 });
  await capture(client, { holdId: partly, amount: '1', final: false });
}

type Step = 'debit' | 'hold' | 'capture' | 'release' | 'grant' | 'refund' | 'advance';

const STEPS = fc.array(
  fc.tuple(
    fc.constantFrom<Step>('debit', 'debit', 'hold', 'capture', 'release', 'grant', 'refund', 'advance'),
    fc.integer({ min: 1, max: 40 }),
  ),
  { minLength: 120, maxLength: 120 },
);

/** So many commands of chance, the same for a seed; what is refused is refused. */
export async function walkAtRandom(gateway: TestGateway, { given: { client, id } }: BusyBooks, seed: number) {
  const holds: string[] = [];
  const charges: string[] = [];
  const attempt = (work: Promise<unknown>) => work.catch(() => undefined);
  for (const [step, number] of fc.sample(STEPS, { seed, numRuns: 1 })[0] ?? []) {
    const pick = (list: readonly string[]) => list[number % Math.max(list.length, 1)] ?? list[0];
    const amount = `${number}.${number}`;
    if (step === 'debit') await attempt(charge(client, { amount }).then((charged) => charges.push(charged)));
    if (step === 'hold') await attempt(authorize(client, { amount }).then((hold) => holds.push(hold)));
    if (step === 'capture') await attempt(capture(client, { holdId: pick(holds), amount, final: number % 2 === 0 }));
    if (step === 'release') {
      await client.raw('mutation($input: ReleaseInput!) { release(input: $input) { __typename } }', {
        input: { holdId: pick(holds) ?? 'none', idempotencyKey: aKey() },
      });
    }
    if (step === 'grant') await grant(gateway, id, 'promotional', amount);
    if (step === 'refund') await attempt(refund(client, { transactionId: pick(charges), amount: '1' }));
    if (step === 'advance') {
      const [row] = await query<{ now: Date }>(
        gateway.database,
        `SELECT clock_timestamp() + test_clock_offset_ms * interval '1 millisecond' AS now FROM organization WHERE id = $1`,
        [decodeId('Organization', id)],
      );
      await advanceTo(gateway, id, new Date((row?.now.getTime() ?? 0) + number * 3_600_000).toISOString());
    }
  }
}
