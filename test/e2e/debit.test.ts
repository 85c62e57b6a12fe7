import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DebitDocument, LedgerDocument, WalletStateDocument } from '../generated/documents.ts';
import { expectSoundBooks } from '../support/books.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization } from '../support/given.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

describe('debit by amount', () => {
  it('takes the amount in burn order and shows it in ledger and balance', async () => {
    const { client, slug, id } = await anOrganization(gateway, { credits: { purchased: '10', promotional: '5' } });
    const { debit } = await client.run(DebitDocument, {
      input: { idempotencyKey: aKey(), amount: '7.5', taskId: 'task-1' },
    });
    expect(debit).toMatchObject({
      __typename: 'DebitPayload',
      transaction: { kind: 'DEBIT', amount: '-7.5' },
      usage: { credits: '7.5', lines: [] },
      availableCredits: '7.5',
      replayed: false,
    });
    const { organization } = await client.run(LedgerDocument, { slug, first: 2 });
    expect(
      organization?.wallet?.ledger.edges.map(({ node }) => [
        node.sequence,
        node.bucket?.key,
        node.amount,
        node.balanceAfter,
        node.taskId,
      ]),
    ).toEqual([
      [4, 'purchased', '2.5', '7.5', 'task-1'],
      [3, 'promotional', '5', '10', 'task-1'],
    ]);
    const state = await client.run(WalletStateDocument, { slug });
    expect(state.organization?.wallet).toMatchObject({
      totalAvailable: '7.5',
      purchasedCredits: '7.5',
      balance: '7.5',
      sequence: 4,
      version: 3,
    });
    await expectSoundBooks(gateway.database, id);
  });

  it('is refused with what is required and available, and changes nothing', async () => {
    const { client, slug, id } = await anOrganization(gateway, { credits: { purchased: '3' } });
    const { debit } = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), amount: '10' } });
    expect(debit).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '10',
      availableCredits: '3',
      httpStatus: 402,
    });
    const state = await client.run(WalletStateDocument, { slug });
    expect(state.organization?.wallet).toMatchObject({ totalAvailable: '3', sequence: 1, version: 1 });
    await expectSoundBooks(gateway.database, id);
  });
});
