/** Promo codes at two gateways: never more than there are, whoever comes at once. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeId } from '../../src/graphql/ids.ts';
import { ApplyCatalogDocument, RedeemPromoCodeDocument, type RedeemPromoCodeInput } from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { demoWith } from '../support/catalog-files.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { aKey, anOrganization } from '../support/given.ts';

let database: TestDatabase;
let gateway: TestGateway;
let other: TestGateway;
beforeAll(async () => {
  database = await createDatabase();
  gateway = await startTestGateway({ database });
  other = await startTestGateway({ database });
  const codes = `promoCodes:
  - { code: Welcome-26, credits: 40, expiresAfterDays: 10 }
  - { code: FIRST-TEN, credits: 5, maxRedemptions: 10 }
  - { code: TWICE, credits: 2.5, maxPerOrganization: 2 }
  - { code: BYGONE, credits: 1, endsAt: 2020-01-01T00:00:00Z }
  - { code: COMING, credits: 1, startsAt: 2999-01-01T00:00:00Z }`;
  const yaml = demoWith(['promoCodes:\n  - { code: WELCOME, credits: 100, expiresAfterDays: 30 }', codes]);
  const { applyCatalog } = await gateway
    .as(gateway.demo.tokens.operator)
    .run(ApplyCatalogDocument, { input: { yaml } });
  expect(applyCatalog).toMatchObject({ __typename: 'ApplyCatalogPayload', applied: true });
});
afterAll(async () => {
  await other[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

const redeem = async (client: TestClient, code: string, input: Partial<RedeemPromoCodeInput> = {}) =>
  (await client.run(RedeemPromoCodeDocument, { input: { code, idempotencyKey: aKey(), ...input } })).redeemPromoCode;

describe('a promo code', () => {
  it('gives its credits at once, however it is written', async () => {
    const { client, id } = await anOrganization(gateway);
    expect(await redeem(client, ' welcome-26 ')).toMatchObject({
      __typename: 'GrantPayload',
      lot: { source: 'PROMOTION', granted: '40', remaining: '40', bucket: { key: 'promotional' } },
      transaction: { kind: 'GRANT', amount: '40' },
      wallet: { totalAvailable: '40' },
      replayed: false,
    });
    expect(await redeem(client, 'WELCOME-26')).toMatchObject({
      __typename: 'Conflict',
      currentState: 'REDEEMED',
      httpStatus: 409,
    });
    await expectSoundBooks(database, id);
  });

  it.each([
    ['that is unknown', 'NOBODY-KNOWS', 'NotFound'],
    ['that has not begun', 'COMING', 'NotFound'],
    ['that has ended', 'BYGONE', 'Conflict'],
    ['that is empty', '', 'InvalidInput'],
    ['that is no text', 'a\0b', 'InvalidInput'],
    ['that is endless', 'A'.repeat(101), 'InvalidInput'],
  ])('%s gives nothing', async (_name, code, refusal) => {
    const { client, id } = await anOrganization(gateway);
    expect(await redeem(client, code)).toMatchObject({ __typename: refusal });
    await expectSoundBooks(database, id);
  });

  it('is redeemed by no more organizations than it may be, at two gateways at once', async () => {
    const given = await Promise.all(Array.from({ length: 30 }, () => anOrganization(gateway)));
    const answers = await Promise.all(
      given.map(({ secret }, index) => redeem((index % 2 ? gateway : other).as(secret), 'FIRST-TEN')),
    );
    const names = answers.map((answer) => answer.__typename).toSorted();
    expect(names).toEqual([...Array(20).fill('Conflict'), ...Array(10).fill('GrantPayload')]);
    expect(answers).toContainEqual(expect.objectContaining({ currentState: 'USED_UP' }));
    const counted = `SELECT p.redemptions, (SELECT count(*)::int FROM promo_redemption r WHERE r.code = p.code) AS rows
      FROM promo_code p WHERE code = 'FIRST-TEN'`;
    expect(await query(database, counted)).toEqual([{ redemptions: 10, rows: 10 }]);
    for (const { id } of given) await expectSoundBooks(database, id);
  });

  it('is redeemed by one organization no more often than it may, however many ask at once', async () => {
    const { secret, id } = await anOrganization(gateway);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => redeem((index % 2 ? gateway : other).as(secret), 'twice')),
    );
    expect(answers.filter(({ __typename: name }) => name === 'GrantPayload')).toHaveLength(2);
    await expectSoundBooks(database, id);
  });

  it('is redeemed once under one key, however often it is sent', async () => {
    const { secret, id } = await anOrganization(gateway);
    const idempotencyKey = aKey();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        redeem((index % 2 ? gateway : other).as(secret), index % 3 ? 'twice' : 'TWICE', { idempotencyKey }),
      ),
    );
    const payloads = answers.flatMap((answer) => (answer.__typename === 'GrantPayload' ? [answer] : []));
    expect(payloads).toHaveLength(8);
    expect(new Set(payloads.map(({ lot }) => lot.id)).size).toBe(1);
    expect(payloads.filter(({ replayed }) => !replayed)).toHaveLength(1);
    await expectSoundBooks(database, id);
  });

  it('of another organization is that organization’s', async () => {
    const { client } = await anOrganization(gateway);
    const { id } = await anOrganization(gateway);
    expect(await redeem(client, 'twice', { organizationId: id })).toMatchObject({ __typename: 'NotFound' });
    expect(await redeem(client, 'twice', { organizationId: encodeId('Plan', 'free') })).toMatchObject({
      __typename: 'NotFound',
    });
  });
});
