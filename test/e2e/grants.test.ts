/** What operators do by hand: granting credits and adjusting buckets, each with a reason, each in the audit trail. */
import { randomUUID } from 'node:crypto';
import { print } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import {
  AdjustBalanceDocument,
  type AdjustBalanceMutationVariables,
  AuditTrailDocument,
  GrantCreditsDocument,
  type GrantCreditsMutationVariables,
  LedgerDocument,
  LotsDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization, type Given, grant } from '../support/given.ts';

type GrantInput = Partial<GrantCreditsMutationVariables['input']>;
type AdjustInput = Partial<AdjustBalanceMutationVariables['input']>;

const DAY = 86_400_000;

let gateway: TestGateway;
let operator: TestClient;
beforeAll(async () => {
  gateway = await startTestGateway();
  operator = gateway.as(gateway.demo.tokens.operator);
});
afterAll(() => gateway[Symbol.asyncDispose]());

/** Ten credits into the promotional bucket, unless told otherwise. */
async function grantCredits({ id: organizationId }: Pick<Given, 'id'>, input: GrantInput = {}) {
  const defaults = { organizationId, idempotencyKey: aKey(), credits: '10', bucketKey: 'promotional', reason: 'sorry' };
  return (await operator.run(GrantCreditsDocument, { input: { ...defaults, ...input } })).grantCredits;
}

/** Ten credits into the purchased bucket, unless told otherwise. */
async function adjust({ id: organizationId }: Pick<Given, 'id'>, input: AdjustInput = {}) {
  const defaults = { organizationId, idempotencyKey: aKey(), credits: '10', bucketKey: 'purchased', reason: 'typo' };
  return (await operator.run(AdjustBalanceDocument, { input: { ...defaults, ...input } })).adjustBalance;
}

async function wallet({ client, slug }: Given) {
  const { organization } = await client.run(WalletStateDocument, { slug });
  if (!organization?.wallet) throw new Error(`no wallet of ${slug}`);
  const { buckets, ...amounts } = organization.wallet;
  return { ...amounts, available: Object.fromEntries(buckets.map(({ key, available }) => [key, available])) };
}

async function lots({ client, slug }: Given) {
  const { organization } = await client.run(LotsDocument, { slug });
  return organization?.wallet?.lots.edges.map(({ node }) => node) ?? [];
}

async function ledger({ client, slug }: Given) {
  const { organization } = await client.run(LedgerDocument, { slug });
  return organization?.wallet?.ledger.edges.map(({ node }) => node) ?? [];
}

async function auditTrail(client: TestClient, { slug }: Given) {
  const { organization } = await client.run(AuditTrailDocument, { slug });
  return organization?.auditTrail?.edges.map(({ node }) => node) ?? [];
}

async function setFrozenAt({ id }: Given, frozenAt: string | null): Promise<void> {
  await query(gateway.database, 'UPDATE wallet SET frozen_at = $2 WHERE organization_id = $1', [
    decodeId('Organization', id),
    frozenAt,
  ]);
}

/** Nothing was moved and nothing audited since the organization was made. */
async function expectUntouched(given: Given): Promise<void> {
  expect(await wallet(given)).toMatchObject({ totalAvailable: '0', balance: '0', sequence: 0, version: 0 });
  const actions = (await auditTrail(given.client, given)).map(({ action }) => action);
  expect(actions).not.toContain('grantCredits');
  expect(actions).not.toContain('adjustBalance');
  await expectSoundBooks(gateway.database, given.id);
}

describe('grantCredits', () => {
  it('makes a promotional lot with its reason in the ledger', async () => {
    const given = await anOrganization(gateway);
    const granted = await grantCredits(given, { credits: '12.5', reason: 'Sorry for Tuesday' });
    expect(granted).toMatchObject({
      __typename: 'GrantPayload',
      lot: { source: 'PROMOTION', granted: '12.5', remaining: '12.5', bucket: { key: 'promotional' } },
      transaction: { kind: 'GRANT', amount: '12.5' },
      wallet: { totalAvailable: '12.5' },
      replayed: false,
    });
    expect(await ledger(given)).toMatchObject([
      {
        sequence: 1,
        direction: 'CREDIT',
        amount: '12.5',
        balanceAfter: '12.5',
        reasonCode: 'GRANT',
        description: 'Sorry for Tuesday',
        bucket: { key: 'promotional' },
        actor: { __typename: 'SystemActor', name: 'operator' },
        occurredAt: null,
        rateCardVersion: null,
      },
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it.each([
    ['promotional', 'totalAvailable'],
    ['purchased', 'purchasedCredits'],
    ['monthly_plan', 'subscriptionCredits'],
    ['daily_free', 'subscriptionCredits'],
  ] as const)('into %s counts as %s', async (bucketKey, field) => {
    const given = await anOrganization(gateway);
    await grantCredits(given, { bucketKey });
    const { available, ...amounts } = await wallet(given);
    expect(available).toMatchObject({ [bucketKey]: '10' });
    expect(amounts).toMatchObject({
      totalAvailable: '10',
      purchasedCredits: field === 'purchasedCredits' ? '10' : '0',
      subscriptionCredits: field === 'subscriptionCredits' ? '10' : '0',
    });
  });

  it('expires by the bucket’s default where the grant does not say', async () => {
    const given = await anOrganization(gateway);
    await grantCredits(given, { bucketKey: 'promotional' });
    await grantCredits(given, { bucketKey: 'purchased' });
    const [promotional, purchased] = await lots(given);
    expect(Date.parse(promotional?.expiresAt ?? '')).toBe(Date.parse(promotional?.effectiveAt ?? '') + 90 * DAY);
    expect(purchased?.expiresAt).toBeNull();
  });

  it('counts the default in local days, so that the hour of the day stays', async () => {
    const given = await anOrganization(gateway, { timeZone: 'Europe/Berlin' });
    await advanceTo(gateway, given.id, '2040-03-01T12:00:00Z');
    await grantCredits(given);
    const [lot] = await lots(given);
    // 25 March 2040 has 23 hours in Berlin.
    expect(Date.parse(lot?.expiresAt ?? '')).toBe(Date.parse(lot?.effectiveAt ?? '') + 90 * DAY - 3_600_000);
  });

  it('expires when the grant says, in buckets with and without a default', async () => {
    const given = await anOrganization(gateway);
    const expiresAt = new Date(Date.now() + 7 * DAY).toISOString();
    for (const bucketKey of ['promotional', 'purchased']) {
      expect(await grantCredits(given, { bucketKey, expiresAt })).toMatchObject({ lot: { expiresAt } });
    }
  });

  it('is refused with an expiry that is not in the future of the organization’s own clock', async () => {
    const given = await anOrganization(gateway);
    await advanceTo(gateway, given.id, '2040-01-01T00:00:00Z');
    const key = aKey();
    for (const expiresAt of ['2020-01-01T00:00:00Z', '2039-12-31T23:59:59.999Z', '2040-01-01T00:00:00Z']) {
      expect(await grantCredits(given, { idempotencyKey: key, expiresAt })).toMatchObject({
        __typename: 'InvalidInput',
        path: ['expiresAt'],
        httpStatus: 422,
      });
    }
    await expectUntouched(given);
    expect(await grantCredits(given, { idempotencyKey: key, expiresAt: '2040-01-02T00:00:00Z' })).toMatchObject({
      __typename: 'GrantPayload',
      replayed: false,
    });
  });

  it.each<[string, GrantInput, string]>([
    ['nothing', { credits: '0' }, 'credits'],
    ['less than nothing', { credits: '-0.000001' }, 'credits'],
    ['more than one command may move', { credits: '1000000.000001' }, 'credits'],
    ['into a bucket that the catalog does not have', { bucketKey: 'Promotional' }, 'bucketKey'],
    ['into no bucket', { bucketKey: '' }, 'bucketKey'],
    ['without a reason', { reason: '' }, 'reason'],
    ['with a reason that is a book', { reason: 'x'.repeat(501) }, 'reason'],
    ['under no key', { idempotencyKey: '' }, 'idempotencyKey'],
  ])('grants nothing when asked for %s', async (_what, input, field) => {
    const given = await anOrganization(gateway);
    const key = aKey();
    expect(await grantCredits(given, { idempotencyKey: key, ...input })).toMatchObject({
      __typename: 'InvalidInput',
      path: [field],
    });
    await expectUntouched(given);
    // The refusal has not used the key up.
    expect(await grantCredits(given, { idempotencyKey: key })).toMatchObject({ __typename: 'GrantPayload' });
  });

  it('grants as much as one command may move, to the last millionth', async () => {
    const given = await anOrganization(gateway);
    await grantCredits(given, { credits: '1000000' });
    await grantCredits(given, { credits: '0.000001' });
    expect(await wallet(given)).toMatchObject({ totalAvailable: '1000000.000001', sequence: 2 });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('gives the same lot and transaction again to the same request, and grants once', async () => {
    const given = await anOrganization(gateway);
    const key = aKey();
    const first = await grantCredits(given, { idempotencyKey: key, credits: '10' });
    await grantCredits(given, { credits: '1' });
    const again = await grantCredits(given, { idempotencyKey: key, credits: '10.0', expiresAt: null });
    if (first.__typename !== 'GrantPayload' || again.__typename !== 'GrantPayload') throw new Error('was not granted');
    expect(again).toMatchObject({ lot: first.lot, transaction: first.transaction, replayed: true });
    expect(again.wallet.totalAvailable).toBe('11');
    expect(await wallet(given)).toMatchObject({ totalAvailable: '11', sequence: 2, version: 2 });
    expect((await auditTrail(given.client, given)).filter(({ action }) => action === 'grantCredits')).toHaveLength(2);
  });

  it.each<[string, GrantInput]>([
    ['other credits', { credits: '11' }],
    ['another bucket', { bucketKey: 'purchased' }],
    ['another reason', { reason: 'Sorry' }],
    ['an expiry', { expiresAt: '2050-01-01T00:00:00Z' }],
  ])('refuses the key with %s, without telling what was granted', async (_what, input) => {
    const given = await anOrganization(gateway);
    const key = aKey();
    await grantCredits(given, { idempotencyKey: key, reason: 'the secret reason' });
    const reused = await grantCredits(given, { idempotencyKey: key, reason: 'the secret reason', ...input });
    expect(reused).toMatchObject({ __typename: 'IdempotencyKeyReused', httpStatus: 409 });
    expect(JSON.stringify(reused)).not.toContain('secret');
    expect(await wallet(given)).toMatchObject({ totalAvailable: '10', sequence: 1 });
  });

  it('is refused on a frozen wallet; the key works once the wallet does', async () => {
    const given = await anOrganization(gateway);
    const key = aKey();
    await setFrozenAt(given, '2026-11-21T00:00:00Z');
    expect(await grantCredits(given, { idempotencyKey: key })).toMatchObject({
      __typename: 'WalletFrozen',
      httpStatus: 423,
    });
    await expectUntouched(given);
    await setFrozenAt(given, null);
    expect(await grantCredits(given, { idempotencyKey: key })).toMatchObject({ replayed: false });
    expect(await wallet(given)).toMatchObject({ totalAvailable: '10', sequence: 1 });
  });

  it('tells of a wrong input before it tells that the wallet is frozen', async () => {
    const given = await anOrganization(gateway);
    await setFrozenAt(given, '2026-11-21T00:00:00Z');
    const invalid: GrantInput[] = [
      { bucketKey: 'nonsense' },
      { expiresAt: '2020-01-01T00:00:00Z' },
      { credits: '-1' },
      { credits: '1000001' },
    ];
    for (const input of invalid) expect(await grantCredits(given, input)).toMatchObject({ code: 'INVALID_INPUT' });
    expect(await adjust(given, { bucketKey: 'nonsense' })).toMatchObject({ code: 'INVALID_INPUT' });
  });

  it('answers NotFound for organizations that do not exist', async () => {
    for (const id of [encodeId('Organization', randomUUID()), encodeId('Wallet', randomUUID()), 'nonsense', '']) {
      expect(await grantCredits({ id })).toMatchObject({ __typename: 'NotFound', httpStatus: 404 });
      expect(await adjust({ id })).toMatchObject({ __typename: 'NotFound', httpStatus: 404 });
    }
  });
});

describe('adjustBalance', () => {
  it('upwards adds a lot to the bucket', async () => {
    const given = await anOrganization(gateway);
    expect(await adjust(given, { credits: '7.25', reason: 'Invoice 12' })).toMatchObject({
      __typename: 'AdjustPayload',
      transaction: { kind: 'ADJUSTMENT', amount: '7.25' },
      wallet: { totalAvailable: '7.25' },
      replayed: false,
    });
    expect(await lots(given)).toMatchObject([
      { source: 'ADJUSTMENT', granted: '7.25', remaining: '7.25', bucket: { key: 'purchased' }, purchase: null },
    ]);
    expect(await ledger(given)).toMatchObject([
      {
        direction: 'CREDIT',
        amount: '7.25',
        reasonCode: 'ADJUSTMENT',
        description: 'Invoice 12',
        balanceAfter: '7.25',
      },
    ]);
    await expectSoundBooks(gateway.database, given.id);
  });

  it('downwards takes from that bucket only, in burn order', async () => {
    const given = await anOrganization(gateway, { credits: { promotional: '50', purchased: '5' } });
    await grant(gateway, given.id, 'purchased', '3', new Date(Date.now() + DAY).toISOString());
    expect(await adjust(given, { credits: '-6', bucketKey: 'purchased', reason: 'Counted twice' })).toMatchObject({
      __typename: 'AdjustPayload',
      transaction: { kind: 'ADJUSTMENT', amount: '-6' },
      wallet: { totalAvailable: '52' },
    });
    const entries = (await ledger(given)).slice(0, 2);
    expect(entries.map(({ direction, amount, balanceAfter }) => [direction, amount, balanceAfter])).toEqual([
      ['DEBIT', '3', '52'],
      ['DEBIT', '3', '55'],
    ]);
    expect(entries.map(({ reasonCode, description }) => [reasonCode, description])).toEqual([
      ['ADJUSTMENT', 'Counted twice'],
      ['ADJUSTMENT', 'Counted twice'],
    ]);
    expect((await wallet(given)).available).toMatchObject({ promotional: '50', purchased: '2' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it('can empty a bucket and take no millionth more, whatever the other buckets have', async () => {
    const given = await anOrganization(gateway, { credits: { promotional: '50', purchased: '5' } });
    expect(await adjust(given, { credits: '-5.000001' })).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '5.000001',
      availableCredits: '5',
      httpStatus: 402,
    });
    expect(await wallet(given)).toMatchObject({ totalAvailable: '55', sequence: 2 });
    expect(await adjust(given, { credits: '-5' })).toMatchObject({ transaction: { amount: '-5' } });
    expect(await wallet(given)).toMatchObject({ totalAvailable: '50', purchasedCredits: '0', sequence: 3 });
    expect(await adjust(given, { credits: '-0.000001' })).toMatchObject({ code: 'INSUFFICIENT_CREDITS' });
    await expectSoundBooks(gateway.database, given.id);
  });

  it.each<[string, AdjustInput, string]>([
    ['nothing', { credits: '0' }, 'credits'],
    ['more than one command may move', { credits: '1000000.000001' }, 'credits'],
    ['less than one command may move', { credits: '-1000000.000001' }, 'credits'],
    ['an unknown bucket', { bucketKey: 'savings' }, 'bucketKey'],
    ['no reason', { reason: '' }, 'reason'],
    ['no key', { idempotencyKey: '' }, 'idempotencyKey'],
  ])('changes nothing when asked for %s', async (_what, input, field) => {
    const given = await anOrganization(gateway);
    expect(await adjust(given, input)).toMatchObject({ __typename: 'InvalidInput', path: [field] });
    await expectUntouched(given);
  });

  it('gives the same transaction again, and refuses the key for anything else', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '20' } });
    const key = aKey();
    const first = await adjust(given, { idempotencyKey: key, credits: '-3' });
    const again = await adjust(given, { idempotencyKey: key, credits: '-3.000' });
    if (first.__typename !== 'AdjustPayload' || again.__typename !== 'AdjustPayload') throw new Error('not adjusted');
    expect(again).toMatchObject({ transaction: first.transaction, replayed: true });
    const others: AdjustInput[] = [
      { credits: '3' },
      { credits: '-4' },
      { reason: 'other' },
      { bucketKey: 'promotional' },
    ];
    for (const other of others) {
      expect(await adjust(given, { idempotencyKey: key, credits: '-3', ...other })).toMatchObject({
        __typename: 'IdempotencyKeyReused',
      });
    }
    expect(await wallet(given)).toMatchObject({ totalAvailable: '17', sequence: 2 });
  });

  it('stays refused under its key after the bucket was filled', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '1' } });
    const key = aKey();
    const refused = await adjust(given, { idempotencyKey: key, credits: '-2' });
    await grant(gateway, given.id, 'purchased', '100');
    expect(await adjust(given, { idempotencyKey: key, credits: '-2' })).toEqual(refused);
    expect(await adjust(given, { credits: '-2' })).toMatchObject({ __typename: 'AdjustPayload' });
  });

  it('is refused on a frozen wallet', async () => {
    const given = await anOrganization(gateway);
    await setFrozenAt(given, '2026-11-21T00:00:00Z');
    for (const credits of ['1', '-1']) {
      expect(await adjust(given, { credits })).toMatchObject({ __typename: 'WalletFrozen' });
    }
    await expectUntouched(given);
  });
});

describe('what operators do', () => {
  /** Runs a mutation as the operator under a request id of its own, as a caller's log would know it. */
  async function underRequestId(requestId: string, document: string, variables: object): Promise<void> {
    const response = await fetch(gateway.gateway.endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${gateway.demo.tokens.operator}`,
        'x-request-id': requestId,
      },
      body: JSON.stringify({ query: document, variables }),
    });
    expect(await response.json()).not.toHaveProperty('errors');
  }

  it('is in the audit trail with what, how much, why and the request, newest first', async () => {
    const given = await anOrganization(gateway);
    const common = { organizationId: given.id, bucketKey: 'purchased' };
    await underRequestId('req-grant-1', print(GrantCreditsDocument), {
      input: { ...common, idempotencyKey: aKey(), credits: '20', reason: 'Welcome' },
    });
    await underRequestId('req-adjust-1', print(AdjustBalanceDocument), {
      input: { ...common, idempotencyKey: aKey(), credits: '-4', reason: 'Too generous' },
    });
    const [adjusted, granted] = await auditTrail(given.client, given);
    const [adjustment, grantEntry] = await ledger(given);
    const transactionIn = (id: string | undefined) => decodeId('Transaction', id ?? '');
    expect(adjusted).toMatchObject({
      action: 'adjustBalance',
      requestId: 'req-adjust-1',
      before: { balance: '20' },
      after: {
        credits: '-4',
        bucketKey: 'purchased',
        reason: 'Too generous',
        transactionId: transactionIn(adjustment?.transaction.id),
      },
      occurredAt: adjustment?.postedAt,
    });
    expect(granted).toMatchObject({
      action: 'grantCredits',
      requestId: 'req-grant-1',
      before: { balance: '0' },
      after: {
        credits: '20',
        bucketKey: 'purchased',
        reason: 'Welcome',
        transactionId: transactionIn(grantEntry?.transaction.id),
      },
      occurredAt: grantEntry?.postedAt,
    });
  });

  it('is shown to the organization as done by the system, and to operators as done by whom it was', async () => {
    const given = await anOrganization(gateway);
    await grantCredits(given);
    const system = { __typename: 'SystemActor', name: 'operator' };
    expect((await auditTrail(given.client, given))[0]).toMatchObject({ action: 'grantCredits', actor: system });
    expect((await ledger(given))[0]).toMatchObject({ actor: system });
    expect((await auditTrail(operator, given))[0]).toMatchObject({
      actor: { __typename: 'User', email: 'operator@demo.example' },
    });
  });

  it('leaves nothing in the audit trail when it was refused or only answered again', async () => {
    const given = await anOrganization(gateway);
    const key = aKey();
    await grantCredits(given, { idempotencyKey: key });
    const before = await auditTrail(given.client, given);
    await grantCredits(given, { idempotencyKey: key });
    await grantCredits(given, { idempotencyKey: key, credits: '99' });
    await grantCredits(given, { credits: '0' });
    await adjust(given, { credits: '-99' });
    expect(await auditTrail(given.client, given)).toEqual(before);
  });

  it('is nobody else’s to do', async () => {
    const { owner, admin, editor, viewer, masterKey, usageKey, readKey } = gateway.demo.tokens;
    const { organizationId } = gateway;
    const common = { organizationId, bucketKey: 'purchased', credits: '1', reason: 'please' };
    const before = await operator.run(WalletStateDocument, { slug: gateway.demo.organization.slug });
    const callers: [string | undefined, string][] = [
      ...[owner, admin, editor, viewer, masterKey, usageKey, readKey].map((token): [string, string] => [
        token,
        'FORBIDDEN',
      ]),
      [undefined, 'UNAUTHENTICATED'],
    ];
    for (const [token, code] of callers) {
      for (const document of [GrantCreditsDocument, AdjustBalanceDocument]) {
        const { data, errors } = await gateway
          .as(token)
          .raw(print(document), { input: { ...common, idempotencyKey: aKey() } });
        expect({ data, codes: errors.map(({ extensions }) => extensions.code) }).toEqual({ data: null, codes: [code] });
      }
    }
    expect(await operator.run(WalletStateDocument, { slug: gateway.demo.organization.slug })).toEqual(before);
  });

  it('needs no subscription of the organization', async () => {
    const lapsed = { id: encodeId('Organization', gateway.demo.lapsed.organizationId) };
    expect(await grantCredits(lapsed)).toMatchObject({ __typename: 'GrantPayload' });
    expect(await adjust(lapsed, { credits: '-1' })).toMatchObject({ __typename: 'AdjustPayload' });
    await expectSoundBooks(gateway.database, lapsed.id);
  });
});
