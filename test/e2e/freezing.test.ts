/** A wallet that the self-audit froze: writes are refused, reads go on, and an operator lets it go on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { DueWalletSettler } from '../../src/operations/settle-due-wallets.ts';
import { BalanceChangedDocument, UnfreezeWalletDocument } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { anAuditor, auditAll, damage, frozenState } from '../support/freezing.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization, type Given, grant } from '../support/given.ts';
import { tenantOf } from '../support/process-posting.ts';
import { begun } from '../support/purchases.ts';
import { aProject, authorize, charge } from '../support/usage.ts';
import { subscribe, TRANSPORTS } from './streams.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const operator = () => gateway.as(gateway.demo.tokens.operator);

/** A wallet whose bucket offers a credit that no lot has, and what mends it. */
async function frozen(given: Given) {
  const { walletId } = await tenantOf(gateway.database, given.id);
  const drift = (by: string) =>
    damage(
      gateway,
      `UPDATE bucket SET frozen_micros = frozen_micros ${by} WHERE wallet_id = $1 AND key = 'purchased'`,
      [walletId],
    );
  await drift('+ 1');
  await auditAll(anAuditor(gateway).auditor);
  expect((await frozenState(gateway, walletId)).frozen).toBe(true);
  return { walletId, mend: () => drift('- 1'), drift: () => drift('+ 1') };
}

const unfreeze = async ({ id: organizationId }: Given, reason = 'The bucket was mended.') =>
  (await operator().run(UnfreezeWalletDocument, { input: { organizationId, reason } })).unfreezeWallet;

async function sequenceOf(walletId: string) {
  const [row] = await query(gateway.database, 'SELECT sequence, version, balance_micros FROM wallet WHERE id = $1', [
    walletId,
  ]);
  return row;
}

describe('a frozen wallet', () => {
  it('answers every write with WalletFrozen', async () => {
    const given = await anOrganization(gateway, { plan: 'free', credits: { purchased: '100' } });
    const { id, client } = given;
    const transactionId = await charge(client, { amount: '1' });
    const holdId = await authorize(client, { amount: '2' });
    const purchase = await begun(given);
    await fetch(`${purchase.checkoutUrl}/pay`, { method: 'POST' });
    const { data } = await operator().raw<{
      organization: { wallet: { lots: { edges: { node: { id: string } }[] } } };
    }>('query($id: ID!) { organization(id: $id) { wallet { lots(first: 50) { edges { node { id source } } } } } }', {
      id,
    });
    const lots = data?.organization.wallet.lots.edges.map(({ node }) => node as { id: string; source: string }) ?? [];
    const lotId = lots.find(({ source }) => source === 'PROMOTION')?.id;
    const projectId = await aProject(given, 'team');
    const { walletId } = await frozen(given);
    const before = await sequenceOf(walletId);
    const writes: readonly (readonly [name: string, input: object, by?: TestClient])[] = [
      ['debit', { amount: '1' }],
      ['authorize', { amount: '1' }],
      ['capture', { holdId, amount: '1' }],
      ['release', { holdId }],
      ['extendHold', { holdId, expiresInSeconds: 600 }],
      ['refund', { transactionId }],
      ['purchasePackage', { packageId: encodeId('Package', 'growth') }],
      ['topUp', { credits: '100' }],
      ['selectPlan', { planId: encodeId('Plan', 'scale') }],
      ['setAllocation', { projectId, credits: '1', idempotencyKey: undefined }],
      ['redeemPromoCode', { code: 'WELCOME' }],
      ['grantCredits', { organizationId: id, credits: '1', bucketKey: 'purchased', reason: 'r' }, operator()],
      ['adjustBalance', { organizationId: id, credits: '1', bucketKey: 'purchased', reason: 'r' }, operator()],
      ['revokeGrant', { lotId, reason: 'r' }, operator()],
      ['refundPurchase', { purchaseId: purchase.id, reason: 'r' }, operator()],
    ];
    for (const [name, input, by = client] of writes) {
      const type = `${name.charAt(0).toUpperCase()}${name.slice(1)}Input`;
      const answer = await by.raw<Record<string, object>>(
        `mutation($input: ${type}!) { ${name}(input: $input) { __typename ... on BillingError { code httpStatus } } }`,
        { input: { idempotencyKey: aKey(), ...input } },
      );
      expect(answer.data?.[name], `${name} ${JSON.stringify(answer.errors)}`).toEqual({
        __typename: 'WalletFrozen',
        code: 'WALLET_FROZEN',
        httpStatus: 423,
      });
    }
    const events = [{ idempotencyKey: aKey(), usage: { meter: 'search' } }];
    const recorded = await client.raw(
      `mutation($input: RecordUsageInput!) { recordUsage(input: $input) {
        ... on RecordUsagePayload { accepted results { status error { code } } } } }`,
      { input: { events } },
    );
    expect(recorded.data).toEqual({
      recordUsage: { accepted: 0, results: [{ status: 'REJECTED', error: { code: 'WALLET_FROZEN' } }] },
    });
    expect(await sequenceOf(walletId)).toEqual(before);
  });

  it.each(TRANSPORTS)('is read as ever, by its stream over %s too, which goes on when it does', async (transport) => {
    const given = await anOrganization(gateway, { credits: { purchased: '100' } });
    const { id, client, secret } = given;
    await grant(gateway, id, 'promotional', '10', new Date(Date.now() + 3_600_000).toISOString());
    const key = aKey();
    const debit = () =>
      client.raw(
        `mutation($input: DebitInput!) { debit(input: $input) { ... on DebitPayload { availableCredits replayed } } }`,
        { input: { idempotencyKey: key, amount: '1' } },
      );
    expect((await debit()).data).toEqual({ debit: { availableCredits: '109', replayed: false } });
    await using early = subscribe(transport, gateway, secret, BalanceChangedDocument, { organizationId: id });
    expect((await early.next()).balanceChanged).toMatchObject({ totalAvailable: '109' });
    const { walletId, mend } = await frozen(given);
    // What has come due waits: nothing is posted on a frozen wallet, and nobody is refused a look at it.
    await advanceTo(gateway, id, new Date(Date.now() + 7_200_000).toISOString());
    const read = async () => {
      const { data, errors } = await client.raw<{ organization: { wallet: { frozenAt: string | null } } }>(
        `query($id: ID!) { organization(id: $id) { wallet { frozenAt balance totalAvailable
          ledger(first: 1) { edges { node { reasonCode } } } } } }`,
        { id },
      );
      expect(errors).toEqual([]);
      return data?.organization.wallet;
    };
    expect(await read()).toEqual({
      frozenAt: expect.any(String),
      balance: '109',
      totalAvailable: '109',
      ledger: { edges: [{ node: { reasonCode: 'USAGE' } }] },
    });
    await using late = subscribe(transport, gateway, secret, BalanceChangedDocument, { organizationId: id });
    expect((await late.next()).balanceChanged).toMatchObject({ change: '0', totalAvailable: '109' });
    // A key that was answered before is answered again.
    expect((await debit()).data).toEqual({ debit: { availableCredits: '109', replayed: true } });

    await mend();
    expect(await unfreeze(given)).toMatchObject({
      organization: { wallet: { frozenAt: null, totalAvailable: '100' } },
    });

    expect((await early.next()).balanceChanged).toMatchObject({ change: '-9', reasonCode: 'EXPIRY' });
    expect((await late.next()).balanceChanged).toMatchObject({ change: '-9', reasonCode: 'EXPIRY' });
    await charge(client, { amount: '4' });
    expect((await late.next()).balanceChanged).toMatchObject({ change: '-4', totalAvailable: '96' });
    await auditAll(anAuditor(gateway).auditor);
    expect((await frozenState(gateway, walletId)).frozen).toBe(false);
    await expectSoundBooks(gateway.database, id);
  });

  it('is settled by the job once it is unfrozen', async () => {
    const given = await anOrganization(gateway);
    await grant(gateway, given.id, 'promotional', '10', new Date(Date.now() + 3_600_000).toISOString());
    const { walletId, mend } = await frozen(given);
    await query(gateway.database, `UPDATE organization SET test_clock_offset_ms = 7200000 WHERE id = $1`, [
      decodeId('Organization', given.id),
    ]);
    const settler = new DueWalletSettler(gateway.gateway.services);
    await settler.sweep(new AbortController().signal);
    expect(await sequenceOf(walletId)).toMatchObject({ sequence: '1' });
    await mend();
    await query(gateway.database, 'UPDATE wallet SET frozen_at = NULL WHERE id = $1', [walletId]);
    await settler.sweep(new AbortController().signal);
    expect(await sequenceOf(walletId)).toMatchObject({ sequence: '2', balance_micros: '0' });
  });
});

describe('unfreezing', () => {
  it('leaves a record with the reason, next to that of the freeze', async () => {
    const given = await anOrganization(gateway);
    const { mend } = await frozen(given);
    await mend();
    await unfreeze(given, 'A bucket was out by one.');
    const { data } = await given.client.raw<{ organization: { auditTrail: { edges: { node: object }[] } } }>(
      `query($id: ID!) { organization(id: $id) { auditTrail(first: 2) {
        edges { node { action before after requestId actor { ... on SystemActor { name } } } } } } }`,
      { id: given.id },
    );
    expect(data?.organization.auditTrail.edges.map(({ node }) => node)).toMatchObject([
      {
        action: 'unfreezeWallet',
        before: { frozenAt: expect.any(String) },
        after: { frozenAt: null, reason: 'A bucket was out by one.' },
        requestId: expect.any(String),
        actor: { name: expect.any(String) },
      },
      {
        action: 'freezeWallet',
        before: { frozenAt: null },
        after: { invariant: 'bucket = Σ lots', subject: 'bucket purchased' },
        requestId: null,
        actor: { name: 'self-audit' },
      },
    ]);
  });

  it('is a conflict where nothing is frozen', async () => {
    const given = await anOrganization(gateway);
    expect(await unfreeze(given)).toMatchObject({ __typename: 'Conflict', currentState: 'NOT_FROZEN' });
  });

  it.each([[''], ['  \n'], ['x'.repeat(501)], ['a\u0000b']])('wants a reason: %j is refused', async (reason) => {
    const given = await anOrganization(gateway);
    await query(gateway.database, 'UPDATE wallet SET frozen_at = now() WHERE organization_id = $1', [
      decodeId('Organization', given.id),
    ]);
    expect(await unfreeze(given, reason)).toMatchObject({ __typename: 'InvalidInput', path: ['reason'] });
    const { walletId } = await tenantOf(gateway.database, given.id);
    expect((await frozenState(gateway, walletId)).frozen).toBe(true);
  });

  it('is undone by the next round of the audit where the books still do not hold', async () => {
    const given = await anOrganization(gateway);
    const { walletId, mend } = await frozen(given);
    await unfreeze(given);
    expect((await frozenState(gateway, walletId)).frozen).toBe(false);
    await auditAll(anAuditor(gateway).auditor);
    expect(await frozenState(gateway, walletId)).toMatchObject({ frozen: true, records: [{}, {}] });
    await mend();
    await unfreeze(given);
    await auditAll(anAuditor(gateway).auditor);
    expect((await frozenState(gateway, walletId)).frozen).toBe(false);
  });

  it('has all of the wallet’s history asked about again', async () => {
    const given = await anOrganization(gateway, { credits: { purchased: '10' } });
    const { walletId } = await tenantOf(gateway.database, given.id);
    await damage(gateway, 'UPDATE lot SET granted_micros = granted_micros + 1 WHERE wallet_id = $1', [walletId]);
    await auditAll(anAuditor(gateway).auditor);
    await unfreeze(given);
    await auditAll(anAuditor(gateway).auditor);
    expect((await frozenState(gateway, walletId)).records).toMatchObject([
      { after: { invariant: 'lot = granted − its moves' } },
      { after: { invariant: 'lot = granted − its moves' } },
    ]);
  });
});
