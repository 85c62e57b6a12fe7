/** Webhooks out: signed, each event at least once under one id, retried over days, redelivered on demand. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_ATTEMPTS } from '../../src/domain/webhooks/retries.ts';
import { decodeId } from '../../src/graphql/ids.ts';
import type { Services } from '../../src/operations/services.ts';
import { makeDueAgain, recordDelivered, recordFailed } from '../../src/persistence/webhooks/webhook-deliveries.ts';
import { lockEndpoint } from '../../src/persistence/webhooks/webhook-endpoints.ts';
import { collectEvents } from '../../src/persistence/webhooks/webhook-outbox.ts';
import { WEBHOOK_SOURCES } from '../../src/persistence/webhooks/webhook-sources.ts';
import type { WebhookSender } from '../../src/webhooks/sender.ts';
import {
  AuditTrailDocument,
  CreateWebhookEndpointDocument,
  DebitDocument,
  DeleteWebhookEndpointDocument,
  LedgerDocument,
  RecordUsageDocument,
  RedeliverWebhookDocument,
  RotateWebhookSecretDocument,
  SetAlertDocument,
  UpdateWebhookEndpointDocument,
  WebhookDeliveriesDocument,
  WebhookEndpointsDocument,
} from '../generated/documents.ts';
import { query } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anApiKey, anOrganization, type Given } from '../support/given.ts';
import { awaitBlocked } from '../support/process-posting.ts';
import {
  anEndpoint,
  collect,
  comeDue,
  deliver,
  deliveriesTo,
  leasesEnd,
  takeAndDie,
  verified,
  WebhookReceiver,
} from '../support/webhook-receiver.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

async function withReceiver(work: (receiver: WebhookReceiver) => Promise<void>): Promise<void> {
  const receiver = await WebhookReceiver.start();
  try {
    await work(receiver);
  } finally {
    await receiver[Symbol.asyncDispose]();
    // Nobody else's test is to deliver to it.
    await query(gateway.database, 'UPDATE webhook_endpoint SET enabled = false');
  }
}

const services = () => gateway.gateway.services;
const customer = () => anOrganization(gateway, { credits: { purchased: '2000' } });

async function debit({ client }: Given, amount = '1.25'): Promise<void> {
  const { debit: answer } = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount } });
  expect(answer.__typename).toBe('DebitPayload');
}

async function updated({ client }: Given, id: string, changes: object) {
  const { updateWebhookEndpoint } = await client.run(UpdateWebhookEndpointDocument, {
    input: { webhookEndpointId: id, ...changes },
  });
  return updateWebhookEndpoint;
}

const redelivered = async ({ client }: Given, id: string | undefined) =>
  (await client.run(RedeliverWebhookDocument, { id: id ?? '' })).redeliverWebhook;

/** Services that send webhooks by `send`, which may send them first. */
function sendingBy(
  send: (
    really: WebhookSender['send'],
    ...message: Parameters<WebhookSender['send']>
  ) => ReturnType<WebhookSender['send']>,
): Services {
  const { webhooks, ...rest } = services();
  const really: WebhookSender['send'] = (...message) => webhooks.send(...message);
  return {
    ...rest,
    webhooks: {
      whyNoTarget: (url) => webhooks.whyNoTarget(url),
      newSecret: (endpointId) => webhooks.newSecret(endpointId),
      send: (...message) => send(really, ...message),
    },
  };
}

async function isEnabled({ client, slug }: Given): Promise<boolean | undefined> {
  const { organization } = await client.run(WebhookEndpointsDocument, { slug });
  return organization?.webhookEndpoints?.[0]?.enabled;
}

const minutesUntil = (at: string | null | undefined): number => (Date.parse(at ?? '') - Date.now()) / 60_000;

describe('an event', () => {
  it('is an alert that triggers, and what the feed of activity tells', () =>
    withReceiver(async ({ url, received }) => {
      const organization = await customer();
      const { secret } = await anEndpoint(organization.client, url, ['balance.low', 'activity.added']);
      const { setAlert } = await organization.client.run(SetAlertDocument, { input: { threshold: '3000' } });
      if (setAlert.__typename !== 'AlertPayload') throw new Error(JSON.stringify(setAlert));
      await deliver(services());
      await deliver(services());
      const events = received.map((webhook) => verified(secret, webhook));
      expect(events.filter(({ type }) => type === 'balance.low').map(({ data }) => data)).toEqual([
        expect.objectContaining({
          alertId: setAlert.alert.id,
          transition: 'TRIGGERED',
          threshold: '3000',
          totalAvailable: '2000',
        }),
      ]);
      const told = events.filter(({ type }) => type === 'activity.added').map(({ data }) => data);
      expect(told).toHaveLength(3);
      expect(told).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ kind: 'SETTINGS', summary: 'Added a webhook endpoint' }),
          expect.objectContaining({ kind: 'ALERT', summary: 'Less than 3000 credits can be spent: 2000 credits' }),
          expect.objectContaining({ kind: 'SETTINGS', summary: 'Set an alert at 3000 credits', credits: null }),
        ]),
      );
    }));

  it('is told once, signed, with exact amounts and the ids of the API', () =>
    withReceiver(async ({ url, received }) => {
      const organization = await customer();
      const { secret, id } = await anEndpoint(organization.client, url, ['balance.changed', 'ledger_entry.posted']);
      await debit(organization, '0.000001');
      await deliver(services());
      await deliver(services());
      expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
      const events = received.map((webhook) => verified(secret, webhook));
      const { organization: read } = await organization.client.run(LedgerDocument, {
        slug: organization.slug,
        first: 1,
      });
      const entry = read?.wallet?.ledger.edges[0]?.node;
      expect(events.toSorted((a, b) => a.type.localeCompare(b.type))).toEqual([
        {
          type: 'balance.changed',
          timestamp: expect.stringMatching(/Z$/),
          data: {
            organizationId: organization.id,
            walletId: expect.any(String),
            version: 2,
            sequence: 2,
            change: '-0.000001',
            reasonCode: 'USAGE',
            totalAvailable: '1999.999999',
            held: '0',
            transactionId: expect.any(String),
          },
        },
        {
          type: 'ledger_entry.posted',
          timestamp: entry?.effectiveAt,
          data: expect.objectContaining({
            id: entry?.id,
            organizationId: organization.id,
            sequence: 2,
            direction: 'DEBIT',
            amount: '0.000001',
            balanceAfter: '1999.999999',
            reasonCode: 'USAGE',
            bucketKey: 'purchased',
          }),
        },
      ]);
      expect(new Set(received.map((webhook) => webhook.id)).size).toBe(2);
      expect(received[0]?.headers).toMatchObject({ 'content-type': 'application/json' });
      const log = await deliveriesTo(organization.client, id);
      expect(log.map(({ event }) => event).toSorted()).toEqual(['balance.changed', 'ledger_entry.posted']);
      for (const delivery of log) {
        expect(delivery).toMatchObject({ status: 'DELIVERED', attempts: 1, responseStatus: 204, nextAttemptAt: null });
        expect(delivery.deliveredAt).not.toBeNull();
      }
    }));

  it('of before the endpoint, of another type or of another organization is not told', () =>
    withReceiver(async ({ url, received }) => {
      const [organization, stranger] = [await customer(), await customer()];
      await debit(organization);
      const { secret } = await anEndpoint(organization.client, url, ['balance.changed']);
      await debit(stranger);
      await debit(organization, '3');
      await deliver(services());
      expect(received.map((webhook) => verified(secret, webhook).data)).toMatchObject([{ change: '-3', version: 3 }]);
    }));

  it('is told to each of several endpoints under the same id', () =>
    withReceiver(async ({ url, received }) => {
      const organization = await customer();
      const first = await anEndpoint(organization.client, `${url}/1`);
      const second = await anEndpoint(organization.client, `${url}/2`);
      await debit(organization);
      await deliver(services());
      const [one, two] = received.toSorted((a, b) => a.path.localeCompare(b.path));
      if (!one || !two) throw new Error('two were to be told');
      expect(received).toHaveLength(2);
      expect(one.id).toBe(two.id);
      expect(verified(first.secret, one)).toEqual(verified(second.secret, two));
      expect(() => verified(first.secret, two)).toThrow();
    }));

  it('of a type that is new to an endpoint, or after it was enabled again, is told from then on', () =>
    withReceiver(async ({ url, received }) => {
      const organization = await customer();
      const { id, secret } = await anEndpoint(organization.client, url, ['balance.changed']);
      await debit(organization, '1');
      expect(await updated(organization, id, { events: ['ledger_entry.posted', 'ledger_entry.posted'] })).toMatchObject(
        {
          webhookEndpoint: { events: ['ledger_entry.posted'], url, enabled: true },
        },
      );
      await debit(organization, '2');
      await deliver(services());
      await updated(organization, id, { enabled: false });
      await debit(organization, '3');
      await deliver(services());
      expect(await updated(organization, id, { enabled: true })).toMatchObject({ webhookEndpoint: { enabled: true } });
      await debit(organization, '4');
      await deliver(services());
      expect(received.map((webhook) => verified(secret, webhook).data.amount)).toEqual(['2', '4']);
    }));

  it(
    'of 1,000 charges is one delivery each, collected and sent by two processes at once',
    () =>
      withReceiver(async ({ url, received }) => {
        const organization = await anOrganization(gateway, { credits: { purchased: '1000000' } });
        await using other = await startTestGateway({ database: gateway.database });
        const { id, secret } = await anEndpoint(organization.client, url);
        const events = Array.from({ length: 500 }, () => ({ idempotencyKey: aKey(), usage: { meter: 'search' } }));
        const charged = async () => {
          const { recordUsage } = await organization.client.run(RecordUsageDocument, {
            input: { events: events.map((event) => ({ ...event, idempotencyKey: aKey() })) },
          });
          expect(recordUsage).toMatchObject({ accepted: 500 });
        };
        await Promise.all([charged(), charged(), deliver(services()), deliver(other.gateway.services)]);
        await Promise.all([deliver(services()), deliver(other.gateway.services)]);
        await deliver(services());
        const sequences = received.map((webhook) => Number(verified(secret, webhook).data.sequence));
        expect(sequences.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 2));
        expect(new Set(received.map((webhook) => webhook.id)).size).toBe(1_000);
        const [count] = await query<{ deliveries: number; delivered: number; attempts: number }>(
          gateway.database,
          `SELECT count(*)::int AS deliveries, count(delivered_at)::int AS delivered, sum(attempts)::int AS attempts
         FROM webhook_delivery WHERE endpoint_id = $1`,
          [decodeId('WebhookEndpoint', id)],
        );
        expect(count).toEqual({ deliveries: 1_000, delivered: 1_000, attempts: 1_000 });
      }),
    60_000,
  );
});

describe('a receiver', () => {
  it('that is down for a day is told everything when it is back, once each and under the same ids', () =>
    withReceiver(async (down) => {
      const organization = await customer();
      const { id, secret } = await anEndpoint(organization.client, down.url);
      down.answer = () => 'cut';
      await debit(organization, '1');
      await deliver(services());
      const waits: number[] = [];
      // Eight attempts later a day has gone by.
      for (let attempt = 1; attempt <= 8; attempt++) {
        const [delivery] = await deliveriesTo(organization.client, id);
        expect(delivery).toMatchObject({
          status: 'PENDING',
          attempts: attempt,
          responseStatus: null,
          deliveredAt: null,
        });
        waits.push(minutesUntil(delivery?.nextAttemptAt));
        await deliver(services());
        expect(down.received).toHaveLength(attempt);
        if (attempt < 8) {
          await comeDue(gateway.database, id);
          await deliver(services());
        }
      }
      expect(waits).toEqual(waits.toSorted((a, b) => a - b));
      expect(waits.reduce((sum, wait) => sum + wait)).toBeGreaterThan(24 * 60);
      await debit(organization, '2');
      down.answer = () => ({ status: 200 });
      await comeDue(gateway.database, id);
      await deliver(services());
      const log = await deliveriesTo(organization.client, id);
      expect(log).toMatchObject([
        { status: 'DELIVERED', attempts: 1 },
        { status: 'DELIVERED', attempts: 9, responseStatus: 200 },
      ]);
      const accepted = down.received.slice(8).map((webhook) => verified(secret, webhook).data.amount);
      expect(accepted.toSorted()).toEqual(['1', '2']);
      expect(new Set(down.received.map((webhook) => webhook.id)).size).toBe(2);
    }));

  it('that fails to the end is given up, and told again on demand under the same id', () =>
    withReceiver(async (failing) => {
      const organization = await customer();
      const { id, secret } = await anEndpoint(organization.client, failing.url);
      failing.answer = () => ({ status: 500 });
      await debit(organization);
      for (let attempt = 1; attempt <= MAX_ATTEMPTS + 1; attempt++) {
        await deliver(services());
        await comeDue(gateway.database, id);
      }
      const [given] = await deliveriesTo(organization.client, id);
      expect(given).toMatchObject({
        status: 'FAILED',
        attempts: MAX_ATTEMPTS,
        responseStatus: 500,
        nextAttemptAt: null,
      });
      expect(failing.received).toHaveLength(MAX_ATTEMPTS);
      expect(await redelivered(organization, given?.id)).toMatchObject({
        webhookDelivery: { id: given?.id, status: 'PENDING', attempts: MAX_ATTEMPTS },
      });
      await deliver(services());
      const [again] = await deliveriesTo(organization.client, id);
      expect(again).toMatchObject({ status: 'PENDING', attempts: MAX_ATTEMPTS + 1 });
      expect(minutesUntil(again?.nextAttemptAt)).toBeLessThan(1);
      failing.answer = () => ({ status: 202 });
      await comeDue(gateway.database, id);
      await deliver(services());
      expect(await deliveriesTo(organization.client, id)).toMatchObject([
        { status: 'DELIVERED', attempts: MAX_ATTEMPTS + 2, responseStatus: 202 },
      ]);
      expect(new Set(failing.received.map((webhook) => webhook.id)).size).toBe(1);
      expect(new Set(failing.received.map((webhook) => JSON.stringify(verified(secret, webhook)))).size).toBe(1);
    }));

  it('is told again what it has accepted, when that is asked for', () =>
    withReceiver(async ({ url, received }) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, url);
      await debit(organization);
      await deliver(services());
      const [delivery] = await deliveriesTo(organization.client, id);
      await redelivered(organization, delivery?.id);
      await deliver(services());
      expect(received).toHaveLength(2);
      expect(received[1]?.id).toBe(received[0]?.id);
      expect(received[1]?.body).toBe(received[0]?.body);
      expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'DELIVERED', attempts: 2 }]);
    }));

  it('is told again what is on its way, when that is asked for', () =>
    withReceiver(async (slow) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, slow.url);
      await debit(organization);
      await collect(services());
      const [taken] = await takeAndDie(gateway);
      if (!taken) throw new Error('one was to be taken');
      const [delivery] = await deliveriesTo(organization.client, id);
      await redelivered(organization, delivery?.id);
      await recordFailed(services().sql, taken, { responseStatus: 500, delayMilliseconds: null });
      expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'PENDING', attempts: 1 }]);
      await deliver(services());
      expect(slow.received).toHaveLength(1);
      expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'DELIVERED', attempts: 2 }]);
    }));

  it('that asks for patience is given it, up to a day', () =>
    withReceiver(async (busy) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, busy.url);
      busy.answer = () => ({ status: 503, headers: { 'retry-after': '3600' } });
      await debit(organization);
      await deliver(services());
      const [patient] = await deliveriesTo(organization.client, id);
      expect(minutesUntil(patient?.nextAttemptAt)).toBeGreaterThan(59);
      expect(minutesUntil(patient?.nextAttemptAt)).toBeLessThan(67);
      busy.answer = () => ({ status: 429, headers: { 'retry-after': '99999999' } });
      await comeDue(gateway.database, id);
      await deliver(services());
      const [bounded] = await deliveriesTo(organization.client, id);
      expect(bounded).toMatchObject({ attempts: 2, responseStatus: 429 });
      expect(minutesUntil(bounded?.nextAttemptAt)).toBeLessThan(27 * 60);
    }));

  it.each([300, 301, 302, 307, 308])('that redirects with %i is not followed', (status) =>
    withReceiver(async (redirecting) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, redirecting.url);
      redirecting.answer = () => ({ status, headers: { location: '/inside' } });
      await debit(organization);
      await deliver(services());
      expect(redirecting.received.map(({ path }) => path)).toEqual(['/hook']);
      expect(await deliveriesTo(organization.client, id)).toMatchObject([
        { status: 'PENDING', responseStatus: status },
      ]);
    }),
  );

  it('that is gone is told nothing more until its endpoint is enabled again, which the audit trail says', () =>
    withReceiver(async (gone) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, gone.url);
      gone.answer = () => ({ status: 410 });
      await debit(organization);
      await deliver(services());
      await debit(organization);
      await deliver(services());
      expect(gone.received).toHaveLength(1);
      const [delivery, ...others] = await deliveriesTo(organization.client, id);
      expect(delivery).toMatchObject({ status: 'FAILED', responseStatus: 410, attempts: 1 });
      expect(others).toEqual([]);
      const { organization: read } = await organization.client.run(WebhookEndpointsDocument, {
        slug: organization.slug,
      });
      expect(read?.webhookEndpoints).toMatchObject([{ id, enabled: false }]);
      expect(await redelivered(organization, delivery?.id)).toMatchObject({ __typename: 'InvalidInput' });
      const trail = await organization.client.run(AuditTrailDocument, { slug: organization.slug, first: 1 });
      expect(trail.organization?.auditTrail?.edges[0]?.node).toMatchObject({ action: 'disableWebhookEndpoint' });
    }));

  it('that is gone from a URL that was mended meanwhile is tried at the new one', () =>
    withReceiver(async (mended) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, `${mended.url}/old`);
      const late = sendingBy(async (really, message, signal) => {
        if (message.url === mended.url) return really(message, signal);
        await updated(organization, id, { url: mended.url });
        return { status: 410, retryAfterMilliseconds: null };
      });
      await debit(organization);
      await deliver(late);
      expect(await isEnabled(organization)).toBe(true);
      expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'PENDING', responseStatus: 410 }]);
      await comeDue(gateway.database, id);
      await deliver(late);
      expect(mended.received).toHaveLength(1);
      expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'DELIVERED', attempts: 2 }]);
    }));

  it('that is gone in an attempt that no longer counts is asked again', () =>
    withReceiver(async (back) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, back.url);
      let isFirst = true;
      const late = sendingBy(async (really, message, signal) => {
        if (!isFirst) return really(message, signal);
        isFirst = false;
        const [delivery] = await deliveriesTo(organization.client, id);
        await redelivered(organization, delivery?.id);
        return { status: 410, retryAfterMilliseconds: null };
      });
      await debit(organization);
      await deliver(late);
      expect(await isEnabled(organization)).toBe(true);
      expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'DELIVERED', attempts: 2 }]);
    }));

  it('that never answers does not hold up another', () =>
    withReceiver(async (hanging) => {
      await using healthy = await WebhookReceiver.start();
      const [slow, quick] = [await customer(), await customer()];
      hanging.answer = () => 'hang';
      await anEndpoint(slow.client, hanging.url);
      await anEndpoint(quick.client, healthy.url);
      for (let count = 0; count < 10; count++) await Promise.all([debit(slow), debit(quick)]);
      const ending = new AbortController();
      const delivering = deliver(services(), ending.signal);
      await Promise.all([healthy.arrived(10), hanging.arrived(4)]);
      // Four at a time and no more, whatever else arrives meanwhile.
      expect(hanging.received).toHaveLength(4);
      ending.abort();
      await delivering;
    }));

  it('that was down for long and answers one gets at once what waited for it', () =>
    withReceiver(async (down) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, down.url);
      down.answer = () => ({ status: 500 });
      for (let count = 0; count < 5; count++) await debit(organization);
      for (let round = 0; round < 4; round++) {
        await deliver(services());
        await comeDue(gateway.database, id);
      }
      await deliver(services());
      expect(down.received).toHaveLength(25);
      down.answer = () => ({ status: 200 });
      await debit(organization);
      await deliver(services());
      const log = await deliveriesTo(organization.client, id);
      expect(log).toHaveLength(6);
      expect(new Set(log.map(({ status }) => status))).toEqual(new Set(['DELIVERED']));
    }));

  it('that is down does not fill the queue: what does not fit waits in the books', () =>
    withReceiver(async (down) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, down.url);
      down.answer = () => 'cut';
      for (let count = 0; count < 5; count++) await debit(organization);
      for (let round = 0; round < 3; round++) await collect(services(), 3);
      expect(await deliveriesTo(organization.client, id)).toHaveLength(3);
      down.answer = () => ({ status: 200 });
      await deliver(services());
      expect(await deliveriesTo(organization.client, id)).toHaveLength(5);
      expect(new Set(down.received.map((webhook) => webhook.id)).size).toBe(5);
    }));
});

describe('several processes', () => {
  it('have four attempts under way at an endpoint together, and not each', () =>
    withReceiver(async ({ url }) => {
      const organization = await customer();
      await anEndpoint(organization.client, url);
      for (let count = 0; count < 8; count++) await debit(organization);
      await collect(services());
      const bounds = { perEndpoint: 4 };
      // The other looks while what the first has taken is not committed yet, and again when it is.
      const [first, second] = await services().sql.begin(async (tx) => [
        await takeAndDie(gateway, bounds, tx),
        await takeAndDie(gateway, bounds),
      ]);
      expect(first).toHaveLength(4);
      expect(second).toEqual([]);
      expect(await takeAndDie(gateway, bounds)).toEqual([]);
    }));

  it.each(['delivered', 'failed'] as const)(
    'record what was %s beside somebody who redelivers it, and neither fails',
    (what) =>
      withReceiver(async ({ url }) => {
        const organization = await customer();
        const { sql } = services();
        const { id } = await anEndpoint(organization.client, url);
        await debit(organization);
        await collect(services());
        const [failed] = await takeAndDie(gateway);
        if (!failed) throw new Error('one was to be taken');
        await recordFailed(sql, failed, { responseStatus: 500, delayMilliseconds: 1 });
        await comeDue(gateway.database, id);
        const [taken] = await takeAndDie(gateway);
        if (!taken) throw new Error('one was to be taken again');
        const record = () =>
          what === 'delivered'
            ? recordDelivered(sql, taken, 200)
            : recordFailed(sql, taken, { responseStatus: 500, delayMilliseconds: null });
        const recording = await sql.begin(async (tx) => {
          await lockEndpoint(tx, taken.endpointId);
          const recorded = Promise.allSettled([record()]);
          await awaitBlocked(gateway.database, 1);
          await makeDueAgain(tx, taken.id);
          return { recorded };
        });
        expect(await recording.recorded).toMatchObject([{ status: 'fulfilled' }]);
        expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'PENDING' }]);
      }),
  );
});

describe('a process that dies', () => {
  it('between collecting and sending leaves the delivery to another, once its lease has ended', () =>
    withReceiver(async ({ url, received }) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, url);
      await debit(organization);
      await collect(services());
      expect(await takeAndDie(gateway)).toHaveLength(1);
      await deliver(services());
      expect(received).toEqual([]);
      await leasesEnd(gateway.database, id);
      await deliver(services());
      expect(received).toHaveLength(1);
      expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'DELIVERED', attempts: 2 }]);
    }));

  it('between sending and recording has it sent again with the same id', () =>
    withReceiver(async (hanging) => {
      const organization = await customer();
      const { id, secret } = await anEndpoint(organization.client, hanging.url);
      hanging.answer = () => 'hang';
      await debit(organization);
      const dying = new AbortController();
      const delivering = deliver(services(), dying.signal);
      await hanging.arrived(1);
      dying.abort();
      await delivering;
      expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'PENDING', attempts: 1 }]);
      hanging.answer = () => ({ status: 200 });
      await leasesEnd(gateway.database, id);
      await deliver(services());
      const [first, second] = hanging.received.map((webhook) => ({ ...verified(secret, webhook), id: webhook.id }));
      expect(second).toEqual(first);
      expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'DELIVERED', attempts: 2 }]);
    }));

  it('and comes back late does not undo what another has recorded since', () =>
    withReceiver(async (slow) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, slow.url);
      let release: () => void = () => undefined;
      const { webhooks, ...rest } = services();
      const late: typeof webhooks = {
        whyNoTarget: (url) => webhooks.whyNoTarget(url),
        newSecret: (endpointId) => webhooks.newSecret(endpointId),
        async send(message, signal) {
          await webhooks.send(message, signal);
          await new Promise<void>((resolve) => {
            release = resolve;
          });
          return { status: 500, retryAfterMilliseconds: null };
        },
      };
      await debit(organization);
      const delivering = deliver({ ...rest, webhooks: late });
      await slow.arrived(1);
      await leasesEnd(gateway.database, id);
      await deliver(services());
      release();
      await delivering;
      expect(await deliveriesTo(organization.client, id)).toMatchObject([
        { status: 'DELIVERED', attempts: 2, responseStatus: 204 },
      ]);
    }));
});

describe('a secret', () => {
  it('that is rotated signs beside the new one for a day', () =>
    withReceiver(async ({ url, received }) => {
      const organization = await customer();
      const before = await anEndpoint(organization.client, url);
      const { rotateWebhookSecret } = await organization.client.run(RotateWebhookSecretDocument, { id: before.id });
      if (rotateWebhookSecret.__typename !== 'CreateWebhookEndpointPayload') throw new Error('not rotated');
      const { secret } = rotateWebhookSecret;
      expect(secret).not.toBe(before.secret);
      await debit(organization);
      await deliver(services());
      const [overlapping] = received;
      if (!overlapping) throw new Error('nothing was told');
      expect(overlapping.headers['webhook-signature']?.split(' ')).toHaveLength(2);
      expect(verified(secret, overlapping)).toEqual(verified(before.secret, overlapping));
      await query(
        gateway.database,
        `UPDATE webhook_endpoint SET previous_secret_until = previous_secret_until - interval '1 day' WHERE id = $1`,
        [decodeId('WebhookEndpoint', before.id)],
      );
      await debit(organization);
      await deliver(services());
      const after = received[1];
      if (!after) throw new Error('nothing was told');
      expect(verified(secret, after).type).toBe('ledger_entry.posted');
      expect(() => verified(before.secret, after)).toThrow();
      expect(after.headers['webhook-signature']?.split(' ')).toHaveLength(1);
    }));

  it('that was sealed with another key cannot sign, until it is rotated', () =>
    withReceiver(async ({ url, received }) => {
      await using other = await startTestGateway({
        database: gateway.database,
        env: { PURSER_WEBHOOKS_KEY: Buffer.alloc(32, 7).toString('base64') },
      });
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, url);
      await debit(organization);
      await deliver(other.gateway.services);
      expect(received).toEqual([]);
      expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'PENDING', attempts: 1 }]);
      const { rotateWebhookSecret } = await other.as(organization.secret).run(RotateWebhookSecretDocument, { id });
      if (rotateWebhookSecret.__typename !== 'CreateWebhookEndpointPayload') throw new Error('not rotated');
      await comeDue(gateway.database, id);
      await deliver(other.gateway.services);
      expect(received.map((webhook) => verified(rotateWebhookSecret.secret, webhook).type)).toEqual([
        'ledger_entry.posted',
      ]);
    }));

  it('is kept nowhere in the clear and said nowhere again', async () => {
    const organization = await customer();
    const { id, secret } = await anEndpoint(organization.client, 'https://example.com/hook');
    await organization.client.run(RotateWebhookSecretDocument, { id });
    const [row] = await query<{ secret: Buffer; previous_secret: Buffer }>(
      gateway.database,
      'SELECT secret, previous_secret FROM webhook_endpoint WHERE id = $1',
      [decodeId('WebhookEndpoint', id)],
    );
    const bytes = Buffer.from(secret.slice('whsec_'.length), 'base64');
    for (const stored of [row?.secret, row?.previous_secret]) {
      expect(stored?.includes(secret) || stored?.includes(bytes)).toBe(false);
    }
    const trail = await organization.client.run(AuditTrailDocument, { slug: organization.slug, first: 20 });
    const actions = trail.organization?.auditTrail?.edges.map((edge) => edge.node.action);
    expect(actions?.slice(0, 2)).toEqual(['rotateWebhookSecret', 'createWebhookEndpoint']);
    expect(JSON.stringify(trail)).not.toContain('whsec_');
  });
});

describe('an endpoint', () => {
  const created = async ({ client }: Given, input: { readonly url?: string; readonly events?: string[] }) =>
    (
      await client.run(CreateWebhookEndpointDocument, {
        input: { url: 'https://example.com/hook', events: ['balance.changed'], ...input },
      })
    ).createWebhookEndpoint;

  it.each([
    ['a URL that is none', { url: 'example.com' }, ['url']],
    ['another scheme', { url: 'ftp://example.com' }, ['url']],
    ['credentials', { url: 'https://user:secret@example.com' }, ['url']],
    ['a fragment', { url: 'https://example.com/#here' }, ['url']],
    ['the port of another service', { url: 'http://example.com:25' }, ['url']],
    ['a URL that is too long', { url: `https://example.com/${'x'.repeat(2_100)}` }, ['url']],
    ['the link-local metadata service', { url: 'http://169.254.169.254/latest' }, ['url']],
    ['a private network', { url: 'https://10.0.0.1' }, ['url']],
    ['no event', { events: [] }, ['events']],
    ['an unknown event', { events: ['balance.changed', 'toString'] }, ['events', '1']],
  ])('is refused with %s', async (_what, input, path) => {
    const organization = await customer();
    expect(await created(organization, input)).toMatchObject({ __typename: 'InvalidInput', path });
    const { id } = await anEndpoint(organization.client, 'https://example.com/hook');
    expect(await updated(organization, id, input)).toMatchObject({ __typename: 'InvalidInput', path });
  });

  it('names the types that there are where one is unknown', async () => {
    const refused = await created(await customer(), { events: ['nothing'] });
    expect(refused).toMatchObject({ message: expect.stringContaining('balance.changed, ledger_entry.posted') });
  });

  it('is one of ten at most, also where several are created at once', async () => {
    const organization = await customer();
    const answers = await Promise.all(Array.from({ length: 13 }, () => created(organization, {})));
    const names = answers.map(({ __typename }) => __typename).toSorted();
    expect(names).toEqual([
      ...Array.from({ length: 10 }, () => 'CreateWebhookEndpointPayload'),
      ...Array.from({ length: 3 }, () => 'InvalidInput'),
    ]);
    const { organization: read } = await organization.client.run(WebhookEndpointsDocument, { slug: organization.slug });
    expect(read?.webhookEndpoints).toHaveLength(10);
    const first = read?.webhookEndpoints?.[0]?.id ?? '';
    await organization.client.run(DeleteWebhookEndpointDocument, { id: first });
    expect(await created(organization, {})).toMatchObject({ __typename: 'CreateWebhookEndpointPayload' });
  });

  it('that is deleted is gone, and what waited for it is given up', () =>
    withReceiver(async (down) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, down.url);
      down.answer = () => 'cut';
      await debit(organization);
      await deliver(services());
      const [delivery] = await deliveriesTo(organization.client, id);
      const { deleteWebhookEndpoint } = await organization.client.run(DeleteWebhookEndpointDocument, { id });
      expect(deleteWebhookEndpoint).toMatchObject({ webhookEndpoint: { id } });
      await debit(organization);
      await comeDue(gateway.database, id);
      await deliver(services());
      expect(down.received).toHaveLength(1);
      const rows = await query(gateway.database, 'SELECT status FROM webhook_delivery WHERE endpoint_id = $1', [
        decodeId('WebhookEndpoint', id),
      ]);
      expect(rows).toEqual([{ status: 'FAILED' }]);
      const { node } = await organization.client.run(WebhookDeliveriesDocument, { id });
      expect(node).toBeNull();
      expect(await redelivered(organization, delivery?.id)).toMatchObject({ __typename: 'NotFound' });
      expect(await updated(organization, id, { enabled: true })).toMatchObject({ __typename: 'NotFound' });
      expect(await organization.client.run(DeleteWebhookEndpointDocument, { id })).toMatchObject({
        deleteWebhookEndpoint: { __typename: 'NotFound' },
      });
    }));

  it('that is deleted while events are collected for it is left with nothing to deliver', () =>
    withReceiver(async ({ url }) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, url);
      await debit(organization);
      const source = WEBHOOK_SOURCES['ledger_entry.posted'];
      if (!source) throw new Error('no such source');
      const deleting: Promise<unknown>[] = [];
      const load: typeof source.load = async (sql, cursors) => {
        const events = await source.load(sql, cursors);
        const deletion = organization.client.run(DeleteWebhookEndpointDocument, { id });
        deleting.push(deletion);
        await Promise.race([deletion, awaitBlocked(gateway.database, 1)]);
        return events;
      };
      const bounds = { endpoints: 1_000, events: 250, pending: 1_000 };
      await collectEvents(services().sql, ['ledger_entry.posted', { ...source, load }], bounds, services().newId);
      await Promise.all(deleting);
      expect(deleting).toHaveLength(1);
      const rows = await query(gateway.database, 'SELECT status FROM webhook_delivery WHERE endpoint_id = $1', [
        decodeId('WebhookEndpoint', id),
      ]);
      expect(rows).toEqual([{ status: 'FAILED' }]);
    }));

  it('that is disabled keeps what waits for it, and goes on with it when enabled again', () =>
    withReceiver(async (down) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, down.url);
      down.answer = () => 'cut';
      await debit(organization);
      await deliver(services());
      await updated(organization, id, { enabled: false });
      await comeDue(gateway.database, id);
      await deliver(services());
      expect(down.received).toHaveLength(1);
      down.answer = () => ({ status: 200 });
      await query(
        gateway.database,
        `UPDATE webhook_delivery SET next_attempt_at = now() + interval '1 hour' WHERE endpoint_id = $1`,
        [decodeId('WebhookEndpoint', id)],
      );
      await updated(organization, id, { enabled: true });
      await deliver(services());
      expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'DELIVERED', attempts: 2 }]);
    }));

  it('whose URL is mended is tried at once, however long it was to wait', () =>
    withReceiver(async (mended) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, `${mended.url}/wrong`);
      mended.answer = ({ path }) => ({ status: path.endsWith('/wrong') ? 404 : 200 });
      for (let count = 0; count < 6; count++) await debit(organization);
      await deliver(services());
      expect(new Set((await deliveriesTo(organization.client, id)).map(({ status }) => status))).toEqual(
        new Set(['PENDING']),
      );
      expect(await updated(organization, id, { url: mended.url })).toMatchObject({
        webhookEndpoint: { url: mended.url, enabled: true },
      });
      await deliver(services());
      const log = await deliveriesTo(organization.client, id);
      expect(log.map(({ status, attempts }) => [status, attempts])).toEqual(
        Array.from({ length: 6 }, () => ['DELIVERED', 2]),
      );
    }));

  it('is not for a master key that is bound to a project', async () => {
    const organization = await customer();
    const { data } = await organization.client.raw<{ createProject: { project: { id: string } } }>(
      'mutation { createProject(input: { key: "p", name: "P" }) { ... on ProjectPayload { project { id } } } }',
    );
    const made = await organization.client.raw<{ createApiKey: { secret: string } }>(
      `mutation { createApiKey(input: { name: "bound", master: true, projectId: "${data?.createProject.project.id}" }) {
        ... on CreateApiKeyPayload { secret } } }`,
    );
    const bound = gateway.as(made.data?.createApiKey.secret);
    const { errors } = await bound.raw(
      'mutation { createWebhookEndpoint(input: { url: "https://example.com", events: ["balance.changed"] }) { __typename } }',
    );
    expect(errors[0]?.extensions).toMatchObject({ code: 'FORBIDDEN' });
  });
});

describe('the log of deliveries', () => {
  it('is read in pages, newest first, in as many statements for few as for many', () =>
    withReceiver(async ({ url }) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, url);
      for (let count = 1; count <= 7; count++) await debit(organization, count.toString());
      await deliver(services());
      const reader = gateway.as(await anApiKey(gateway, organization.id, 'BILLING_READ'));
      const seen: string[] = [];
      const statements = new Set<number>();
      // The first use of a key in a minute is noted.
      await page(null);
      let after: string | null = null;
      do {
        gateway.statements.length = 0;
        const { node }: Awaited<ReturnType<typeof page>> = await page(after);
        statements.add(gateway.statements.length);
        for (const sql of gateway.statements.filter((text) => text.includes('webhook_delivery'))) {
          expect(sql).toMatch(/LIMIT/);
        }
        if (!node || !('deliveries' in node)) throw new Error('no such endpoint');
        seen.push(...node.deliveries.edges.map((edge) => edge.node.id));
        after = node.deliveries.pageInfo.hasNextPage ? (node.deliveries.pageInfo.endCursor ?? null) : null;
      } while (after !== null);
      function page(cursor: string | null) {
        return reader.run(WebhookDeliveriesDocument, { id, first: 3, after: cursor });
      }
      const all = (await deliveriesTo(reader, id)).map((delivery) => delivery.id);
      expect(seen).toEqual(all);
      expect(new Set(seen).size).toBe(7);
      expect(statements.size).toBe(1);
    }));

  it('forgets what has ended a month ago, and nothing that waits', () =>
    withReceiver(async (failing) => {
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, failing.url);
      failing.answer = ({ body }) => ({ status: body.includes('"amount":"7"') ? 500 : 200 });
      for (const amount of ['5', '6', '7']) await debit(organization, amount);
      await deliver(services());
      await query(
        gateway.database,
        `UPDATE webhook_delivery SET created_at = created_at - interval '31 days'
         WHERE endpoint_id = $1 AND (payload LIKE '%"amount":"5"%' OR status = 'PENDING')`,
        [decodeId('WebhookEndpoint', id)],
      );
      await deliver(services());
      const log = await deliveriesTo(organization.client, id);
      expect(log.map(({ status }) => status)).toEqual(['DELIVERED', 'PENDING']);
    }));
});

describe('where private addresses are refused', () => {
  it('a name that resolves to one is refused when it is called, and the receiver hears nothing', () =>
    withReceiver(async (inside) => {
      await using strict = await startTestGateway({
        database: gateway.database,
        env: { PURSER_WEBHOOKS_ALLOW_PRIVATE: '0' },
      });
      const organization = await customer();
      const client = strict.as(organization.secret);
      const { id } = await anEndpoint(client, `http://localhost:${inside.port}/hook`);
      await debit(organization);
      await deliver(strict.gateway.services);
      expect(inside.received).toEqual([]);
      const [delivery] = await deliveriesTo(client, id);
      expect(delivery).toMatchObject({ status: 'PENDING', attempts: 1, responseStatus: null });
    }));

  it('an address that was allowed when it was written is not called any more', () =>
    withReceiver(async (inside) => {
      await using strict = await startTestGateway({
        database: gateway.database,
        env: { PURSER_WEBHOOKS_ALLOW_PRIVATE: '0' },
      });
      const organization = await customer();
      const { id } = await anEndpoint(organization.client, inside.url);
      await debit(organization);
      await deliver(strict.gateway.services);
      expect(inside.received).toEqual([]);
      expect(await deliveriesTo(organization.client, id)).toMatchObject([{ status: 'PENDING', responseStatus: null }]);
    }));
});

describe('a gateway', () => {
  it('tells webhooks by itself', () =>
    withReceiver(async (listening) => {
      await using working = await startTestGateway({ env: { PURSER_JOBS: 'on' } });
      const organization = await anOrganization(working, { credits: { purchased: '10' } });
      const { secret } = await anEndpoint(organization.client, listening.url, ['balance.changed']);
      await debit(organization, '4');
      await listening.arrived(1);
      expect(listening.received.map((webhook) => verified(secret, webhook).data)).toMatchObject([{ change: '-4' }]);
    }));
});
