/** Changes of balances are forgotten when their time has come, oldest first, and streams say so where they were needed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forgetChanges } from '../../src/jobs/forget-changes.ts';
import { forgeCursor } from '../e2e/cursors.ts';
import { subscribe, TRANSPORTS, type Transport } from '../e2e/streams.ts';
import {
  BalanceChangedDocument,
  DeleteWebhookEndpointDocument,
  LedgerDocument,
  LedgerEntryPostedDocument,
  RecordUsageDocument,
  UpdateWebhookEndpointDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { anAuditor, auditAll } from '../support/freezing.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization, type Given } from '../support/given.ts';
import { charge } from '../support/usage.ts';
import { anEndpoint, collect, deliveriesTo } from '../support/webhook-receiver.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const DAY = 86_400_000;
const START = '2040-03-10T12:00:00.000Z';
const daysLater = (days: number) => new Date(Date.parse(START) + days * DAY).toISOString();

const forget = async (days = 30, signal = new AbortController().signal) =>
  forgetChanges(gateway.gateway.services, days).run(signal);

/** A credit charged on each of these days, as versions from 2; version 1 is what it was given on the first. */
async function charged(...days: number[]): Promise<Given> {
  const organization = await anOrganization(gateway, { now: START, credits: { purchased: '1000' } });
  for (const day of days) {
    if (day > 0) await advanceTo(gateway, organization.id, daysLater(day));
    await charge(organization.client, { amount: '1' });
  }
  return organization;
}

async function versionsOf({ slug }: Given): Promise<number[]> {
  const rows = await query<{ version: number }>(
    gateway.database,
    `SELECT c.version::int FROM balance_change c JOIN wallet w ON w.id = c.wallet_id
     JOIN organization o ON o.id = w.organization_id WHERE o.slug = $1 ORDER BY version`,
    [slug],
  );
  return rows.map(({ version }) => version);
}

/** The cursor of a version. */
async function cursorAt({ client, slug }: Given, version: number): Promise<string> {
  const { organization } = await client.run(WalletStateDocument, { slug });
  return forgeCursor(organization?.wallet?.liveCursor ?? '', version.toString());
}

function watch(transport: Transport, { id, secret }: Given, after: string, coalesce = false) {
  return subscribe(transport, gateway, secret, BalanceChangedDocument, { organizationId: id, after, coalesce });
}

/** Has the endpoint told this type of event and no other. */
async function asksFor({ client }: Given, webhookEndpointId: string, event: string): Promise<void> {
  const input = { webhookEndpointId, events: [event] };
  const { updateWebhookEndpoint } = await client.run(UpdateWebhookEndpointDocument, { input });
  expect(updateWebhookEndpoint).toMatchObject({ __typename: 'WebhookEndpointPayload' });
}

describe('changes of balances', () => {
  it('are forgotten after their time by the organization’s clock, but for the newest', async () => {
    const organization = await charged(0, 11, 39, 40);
    const resting = await charged(0, 1);
    await advanceTo(gateway, resting.id, daysLater(365));
    await forget();
    expect(await versionsOf(organization)).toEqual([3, 4, 5]);
    expect(await versionsOf(resting)).toEqual([3]);
    const { auditor, told } = anAuditor(gateway);
    await auditAll(auditor);
    expect(told).toMatchObject({ offended: [], frozen: 0 });
  });

  it('are forgotten however many there are, and none where the job is to stop', async () => {
    const organization = await charged(0);
    const events = Array.from({ length: 250 }, () => ({ idempotencyKey: aKey(), usage: { meter: 'search' } }));
    await organization.client.run(RecordUsageDocument, { input: { events } });
    await advanceTo(gateway, organization.id, daysLater(31));
    const stopped = new AbortController();
    stopped.abort();
    await forget(30, stopped.signal);
    expect(await versionsOf(organization)).toHaveLength(252);
    await forget();
    expect(await versionsOf(organization)).toEqual([252]);
  });

  it('that a webhook has yet to tell are kept until it has', async () => {
    const organization = await charged(0);
    await anEndpoint(organization.client, 'https://example.com', ['balance.changed']);
    for (const day of [1, 2]) {
      await advanceTo(gateway, organization.id, daysLater(day));
      await charge(organization.client, { amount: '1' });
    }
    await advanceTo(gateway, organization.id, daysLater(60));
    await forget();
    expect(await versionsOf(organization)).toEqual([3, 4]);
    await collect(gateway.gateway.services);
    await forget();
    expect(await versionsOf(organization)).toEqual([4]);
  });

  it('are not kept for a webhook that no longer asks for them, and it begins at the newest should it do so again', async () => {
    const organization = await charged(0);
    const { id } = await anEndpoint(organization.client, 'https://example.com', ['balance.changed']);
    const deleted = await anEndpoint(organization.client, 'https://example.com', ['balance.changed']);
    await asksFor(organization, id, 'ledger_entry.posted');
    await organization.client.run(DeleteWebhookEndpointDocument, { id: deleted.id });
    for (const day of [1, 2]) {
      await advanceTo(gateway, organization.id, daysLater(day));
      await charge(organization.client, { amount: '1' });
    }
    await advanceTo(gateway, organization.id, daysLater(60));
    await forget();
    expect(await versionsOf(organization)).toEqual([4]);
    await asksFor(organization, id, 'balance.changed');
    await collect(gateway.gateway.services);
    expect(await deliveriesTo(organization.client, id)).toEqual([]);
    await charge(organization.client, { amount: '1' });
    await collect(gateway.gateway.services);
    expect(await deliveriesTo(organization.client, id)).toMatchObject([{ event: 'balance.changed' }]);
  });
});

describe.each(TRANSPORTS)('a stream over %s', (transport) => {
  it.each([false, true])('that would miss some is refused (coalesce: %s)', async (coalesce) => {
    const organization = await charged(0, 11, 39, 40);
    await forget();
    for (const version of [0, 1]) {
      await using live = watch(transport, organization, await cursorAt(organization, version), coalesce);
      const result = await live.result();
      expect(result?.data ?? null).toBeNull();
      expect(result?.errors?.[0]?.extensions?.code).toBe('CURSOR_EXPIRED');
    }
  });

  it('that misses none goes on', async () => {
    const organization = await charged(0, 11, 39, 40);
    await forget();
    await using every = watch(transport, organization, await cursorAt(organization, 2));
    expect((await every.take(3)).map(({ balanceChanged }) => balanceChanged.version)).toEqual([3, 4, 5]);
    await using newest = watch(transport, organization, await cursorAt(organization, 2), true);
    expect(await newest.next()).toMatchObject({ balanceChanged: { version: 5, change: '-3', totalAvailable: '996' } });
    await using upToDate = watch(transport, organization, await cursorAt(organization, 5));
    await charge(organization.client, { amount: '1' });
    expect(await upToDate.next()).toMatchObject({ balanceChanged: { version: 6 } });
  });

  it('of the ledger goes on from anywhere', async () => {
    const organization = await charged(0, 40);
    const { organization: read } = await organization.client.run(LedgerDocument, {
      slug: organization.slug,
      first: 10,
    });
    await forget();
    await using live = subscribe(transport, gateway, organization.secret, LedgerEntryPostedDocument, {
      organizationId: organization.id,
      after: read?.wallet?.ledger.edges.at(-1)?.cursor ?? '',
    });
    expect((await live.take(2)).map(({ ledgerEntryPosted }) => ledgerEntryPosted.entry.sequence)).toEqual([2, 3]);
  });
});
