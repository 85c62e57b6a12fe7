/** Top-ups that begin by themselves: one a crossing and one at a time, whatever the payment provider answers. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { collectPayments } from '../../src/jobs/collect-payments.ts';
import { type ChargeAnswer, PaymentProviderUnavailable } from '../../src/payments/provider.ts';
import {
  AuditTrailDocument,
  AuthorizeDocument,
  AutoTopUpStateDocument,
  ConfigureAutoTopUpDocument,
  type ConfigureAutoTopUpInput,
  DebitDocument,
} from '../generated/documents.ts';
import { expectSoundBooks, query } from '../support/books.ts';
import { createDatabase } from '../support/database.ts';
import { startTestGateway, type TestClient, type TestGateway } from '../support/gateway.ts';
import { advanceTo, aKey, anOrganization, type Given, grant } from '../support/given.ts';
import { tellPaid } from '../support/purchases.ts';

/** Runs no jobs: a test runs them where it says so. */
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterEach(() => {
  vi.restoreAllMocks();
});
afterAll(() => gateway[Symbol.asyncDispose]());

const MORNING = '2040-03-10T10:00:00.000Z';
const STARTER = { packageId: encodeId('Package', 'starter') };

async function configure(client: TestClient, input: ConfigureAutoTopUpInput) {
  const { configureAutoTopUp } = await client.run(ConfigureAutoTopUpDocument, { input });
  return configureAutoTopUp;
}

/** 100 credits, and 1,000 for 10.00 USD whenever less than 50 are left. */
async function aCustomer(input: Partial<ConfigureAutoTopUpInput> = {}): Promise<Given> {
  const customer = await anOrganization(gateway, { now: MORNING, credits: { purchased: '100' } });
  const payload = await configure(customer.client, { enabled: true, threshold: '50', ...STARTER, ...input });
  expect(payload.__typename).toBe('AutoTopUpPayload');
  return customer;
}

/** The same on the plan that sells credits in tens, for 0.10 USD each ten. */
async function aCustomerInTens(input: Partial<ConfigureAutoTopUpInput> = {}): Promise<Given> {
  const customer = await anOrganization(gateway, { now: MORNING, credits: { purchased: '100' } });
  await query(gateway.database, `UPDATE plan_subscription SET plan_key = 'team' WHERE organization_id = $1`, [
    decodeId('Organization', customer.id),
  ]);
  const payload = await configure(customer.client, { enabled: true, threshold: '50', credits: '10', ...input });
  expect(payload.__typename).toBe('AutoTopUpPayload');
  return customer;
}

async function debit(client: TestClient, amount: string) {
  return (await client.run(DebitDocument, { input: { amount, idempotencyKey: aKey() } })).debit.__typename;
}

async function stateOf({ client, slug }: Given) {
  const { organization } = await client.run(AutoTopUpStateDocument, { slug });
  const topUps = (organization?.purchases?.edges ?? [])
    .map(({ node }) => node)
    .filter(({ kind }) => kind === 'AUTO_TOP_UP');
  return {
    available: organization?.wallet?.totalAvailable,
    autoTopUp: organization?.autoTopUp,
    topUps,
    statuses: topUps.map(({ status }) => status),
  };
}

/** One run of the job, as a process that has just started makes it. */
async function runJob(where = gateway): Promise<void> {
  await collectPayments(where.gateway.services).run(new AbortController().signal);
}

/** What the payment provider answers from here on, with how often it was asked. */
function theProvider(answer: (purchaseId: string) => ChargeAnswer | Promise<ChargeAnswer>) {
  return vi
    .spyOn(gateway.gateway.services.payments, 'charge')
    .mockImplementation(async ({ purchaseId }) => answer(purchaseId));
}

const declines = () => theProvider(() => ({ status: 'DECLINED', code: 'card_declined' }));

const setFrozen = (customer: Given, frozenAt: string | null) =>
  query(gateway.database, 'UPDATE wallet SET frozen_at = $2 WHERE organization_id = $1', [
    decodeId('Organization', customer.id),
    frozenAt,
  ]);

describe('falling below the threshold', () => {
  it('begins nothing inside of the debit, and one purchase after it that nobody has to be there for', async () => {
    const customer = await aCustomer();
    expect(await debit(customer.client, '50')).toBe('DebitPayload');
    await runJob();
    expect((await stateOf(customer)).topUps).toEqual([]);

    expect(await debit(customer.client, '1')).toBe('DebitPayload');
    expect(await stateOf(customer)).toMatchObject({ available: '49', topUps: [] });
    await runJob();
    expect(await stateOf(customer)).toMatchObject({
      available: '1049',
      topUps: [
        {
          status: 'PAID',
          package: { key: 'starter' },
          credits: '1000',
          price: { amountMinor: 1000, currency: 'USD' },
          checkoutUrl: null,
          receiptNumber: expect.stringMatching(/^R-/),
          entries: [{ reasonCode: 'PURCHASE', amount: '1000' }],
        },
      ],
      autoTopUp: { spentThisMonth: { amountMinor: 1000, currency: 'USD' }, suspendedReason: null },
    });
    await runJob();
    expect((await stateOf(customer)).statuses).toEqual(['PAID']);
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('by 50 debits at once over two gateways, whose jobs both run, begins one', async () => {
    await using database = await createDatabase();
    const env = { PURSER_JOBS: 'on' };
    await using first = await startTestGateway({ database, env });
    await using second = await startTestGateway({ database, env });
    const customer = await anOrganization(first, { credits: { purchased: '100' } });
    const clients = [customer.client, second.as(customer.secret)];
    await configure(customer.client, { enabled: true, threshold: '75', ...STARTER });
    const debits = Array.from({ length: 50 }, (_, index) => debit(clients[index % 2] ?? customer.client, '1'));
    expect(new Set(await Promise.all(debits))).toEqual(new Set(['DebitPayload']));
    await vi.waitFor(async () => expect((await stateOf(customer)).statuses).toEqual(['PAID']), {
      timeout: 20_000,
      interval: 50,
    });
    await Promise.all([runJob(first), runJob(second)]);
    expect(await stateOf(customer)).toMatchObject({ available: '1050', statuses: ['PAID'] });
    await expectSoundBooks(database, customer.id);
  });

  it('by a hold begins one', async () => {
    const customer = await aCustomer();
    const { authorize } = await customer.client.run(AuthorizeDocument, {
      input: { amount: '60', idempotencyKey: aKey() },
    });
    expect(authorize.__typename).toBe('HoldPayload');
    await runJob();
    expect(await stateOf(customer)).toMatchObject({ available: '1040', statuses: ['PAID'] });
  });

  it('and staying below it after the top-up lets the next debit begin another', async () => {
    const customer = await aCustomerInTens();
    await debit(customer.client, '70');
    await runJob();
    await runJob();
    expect(await stateOf(customer)).toMatchObject({ available: '40', statuses: ['PAID'] });
    await debit(customer.client, '1');
    await runJob();
    expect(await stateOf(customer)).toMatchObject({
      available: '49',
      statuses: ['PAID', 'PAID'],
      autoTopUp: { package: null, credits: '10', spentThisMonth: { amountMinor: 20, currency: 'USD' } },
    });
  });

  it('and being refused a charge for want of credits begins one as well', async () => {
    const customer = await aCustomerInTens();
    await debit(customer.client, '100');
    await runJob();
    expect(await debit(customer.client, '15')).toBe('InsufficientCredits');
    await runJob();
    expect(await debit(customer.client, '15')).toBe('DebitPayload');
    expect((await stateOf(customer)).available).toBe('5');
  });

  it('begins nothing where it is switched off, or where nobody has configured it', async () => {
    const off = await aCustomer({ enabled: false });
    const never = await anOrganization(gateway, { now: MORNING, credits: { purchased: '100' } });
    for (const customer of [off, never]) await debit(customer.client, '100');
    await runJob();
    for (const customer of [off, never]) expect((await stateOf(customer)).topUps).toEqual([]);
    expect((await stateOf(never)).autoTopUp).toBeNull();
  });

  it('costs a debit no statement more than it costs another', async () => {
    const [plain, topped] = [await anOrganization(gateway, { credits: { purchased: '100' } }), await aCustomer()];
    const statementsOf = async (customer: Given) => {
      // The first use of a key notes when it was used.
      await debit(customer.client, '1');
      gateway.statements.length = 0;
      expect(await debit(customer.client, '1')).toBe('DebitPayload');
      return gateway.statements.map((statement) => statement.trim().split(/\s+/, 3).join(' '));
    };
    expect(await statementsOf(topped)).toEqual(await statementsOf(plain));
  });
});

describe('a provider that always declines', () => {
  it('is asked three times, after pauses of a minute and of ten, and then no more until it is configured again', async () => {
    const customer = await aCustomer();
    const charge = declines();
    await debit(customer.client, '60');
    await runJob();
    await runJob();
    expect(charge).toHaveBeenCalledTimes(1);
    expect((await stateOf(customer)).autoTopUp).toMatchObject({
      suspendedReason: null,
      spentThisMonth: { amountMinor: 0, currency: 'USD' },
    });
    await advanceTo(gateway, customer.id, '2040-03-10T10:05:00.000Z');
    expect(charge).toHaveBeenCalledTimes(2);
    await debit(customer.client, '1');
    await runJob();
    expect(charge).toHaveBeenCalledTimes(2);

    await advanceTo(gateway, customer.id, '2040-03-12T10:00:00.000Z');
    expect(charge).toHaveBeenCalledTimes(3);
    expect(await stateOf(customer)).toMatchObject({
      available: '39',
      statuses: ['FAILED', 'FAILED', 'FAILED'],
      autoTopUp: {
        enabled: true,
        suspendedReason: 'the payment was declined 3 times in a row, the last time with card_declined',
      },
    });
    for (let index = 0; index < 20; index++) await debit(customer.client, '1');
    await advanceTo(gateway, customer.id, '2040-05-01T00:00:00.000Z');
    await runJob();
    expect(charge).toHaveBeenCalledTimes(3);

    charge.mockRestore();
    expect(await configure(customer.client, { enabled: true })).toMatchObject({
      autoTopUp: { enabled: true, threshold: '50', package: { key: 'starter' }, suspendedReason: null },
    });
    await runJob();
    expect(await stateOf(customer)).toMatchObject({ available: '1019', autoTopUp: { suspendedReason: null } });
    await expectSoundBooks(gateway.database, customer.id);
  });
});

describe('the ceiling of a month', () => {
  it('lets none begin that would exceed it, says so, and lets them begin again in the next month', async () => {
    const customer = await aCustomerInTens({ monthlyCeilingMinor: 25 });
    await debit(customer.client, '90');
    for (const _ of [1, 2, 3]) {
      await runJob();
      await debit(customer.client, '1');
    }
    await runJob();
    const reached = {
      statuses: ['PAID', 'PAID'],
      autoTopUp: {
        monthlyCeiling: { amountMinor: 25, currency: 'USD' },
        spentThisMonth: { amountMinor: 20, currency: 'USD' },
        suspendedReason: 'the monthly ceiling of 0.25 USD leaves no room for another until 2040-04-01T00:00:00.000Z',
      },
    };
    expect(await stateOf(customer)).toMatchObject(reached);
    await advanceTo(gateway, customer.id, '2040-03-31T23:59:00.000Z');
    expect(await stateOf(customer)).toMatchObject(reached);
    await advanceTo(gateway, customer.id, '2040-04-01T00:01:00.000Z');
    expect(await stateOf(customer)).toMatchObject({
      statuses: ['PAID', 'PAID', 'PAID'],
      autoTopUp: { spentThisMonth: { amountMinor: 10, currency: 'USD' }, suspendedReason: null },
    });
  });
});

describe('a charge whose answer is not there', () => {
  it('lets no second one begin while it is pending, and gives its credits once it is told to be paid', async () => {
    const customer = await aCustomer();
    const charge = theProvider((purchaseId) => ({ status: 'PENDING', url: null, reference: `pending-${purchaseId}` }));
    await debit(customer.client, '60');
    await runJob();
    for (let index = 0; index < 5; index++) {
      await debit(customer.client, '1');
      await runJob();
    }
    await advanceTo(gateway, customer.id, '2040-03-20T00:00:00.000Z');
    expect(charge).toHaveBeenCalledTimes(1);
    const { topUps, autoTopUp } = await stateOf(customer);
    expect(topUps).toMatchObject([{ status: 'PENDING' }]);
    expect(autoTopUp?.spentThisMonth.amountMinor).toBe(1000);

    for (const _ of [1, 2]) expect(await tellPaid(gateway, topUps[0]?.id ?? '')).toEqual([200]);
    await runJob();
    expect(await stateOf(customer)).toMatchObject({ available: '1035', statuses: ['PAID'] });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('because the process died after the money was taken is asked for again and credited once', async () => {
    const customer = await aCustomer();
    const { payments } = gateway.gateway.services;
    const take = payments.charge.bind(payments);
    const charge = vi.spyOn(payments, 'charge').mockImplementationOnce(async (request) => {
      await take(request);
      throw new PaymentProviderUnavailable('the answer was lost');
    });
    await debit(customer.client, '60');
    await runJob();
    expect(await stateOf(customer)).toMatchObject({ available: '40', statuses: ['PENDING'] });
    await debit(customer.client, '1');
    await Promise.all([runJob(), runJob()]);
    await runJob();
    expect(await stateOf(customer)).toMatchObject({ available: '1039', statuses: ['PAID'] });
    const asked = charge.mock.calls.map(([{ purchaseId }]) => purchaseId);
    expect(new Set(asked).size).toBe(1);
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('and cannot be posted because the wallet was frozen meanwhile is posted once it is not', async () => {
    const customer = await aCustomer();
    const { payments } = gateway.gateway.services;
    const take = payments.charge.bind(payments);
    vi.spyOn(payments, 'charge').mockImplementationOnce(async (request) => {
      await setFrozen(customer, new Date().toISOString());
      return take(request);
    });
    await debit(customer.client, '60');
    await runJob();
    await runJob();
    expect((await stateOf(customer)).statuses).toEqual(['PENDING']);
    await setFrozen(customer, null);
    await runJob();
    expect(await stateOf(customer)).toMatchObject({ available: '1040', statuses: ['PAID'] });
  });

  it('is none on a frozen wallet: it is charged afterwards', async () => {
    const customer = await aCustomer();
    const charge = vi.spyOn(gateway.gateway.services.payments, 'charge');
    await debit(customer.client, '60');
    await setFrozen(customer, new Date().toISOString());
    await runJob();
    expect(charge).not.toHaveBeenCalled();
    await setFrozen(customer, null);
    await runJob();
    expect((await stateOf(customer)).statuses).toEqual(['PAID']);
  });
});

describe('what cannot be bought any more', () => {
  it('suspends it with the reason; without a subscription nothing is bought and it waits', async () => {
    const [gone, lapsed] = [await aCustomerInTens(), await aCustomer()];
    await debit(gone.client, '60');
    await debit(lapsed.client, '60');
    const subscription = (customer: Given, change: string) =>
      query(gateway.database, `UPDATE plan_subscription SET ${change} WHERE organization_id = $1`, [
        decodeId('Organization', customer.id),
      ]);
    await subscription(gone, `plan_key = 'free'`);
    await subscription(lapsed, `status = 'CANCELED'`);
    await runJob();
    expect(await stateOf(gone)).toMatchObject({
      topUps: [],
      autoTopUp: { suspendedReason: 'a top-up of 10 credits cannot be bought: the plan Free has no top-ups' },
    });
    expect(await stateOf(lapsed)).toMatchObject({
      topUps: [],
      autoTopUp: { suspendedReason: null },
    });
  });
});

describe('configuring', () => {
  it('answers what holds from then on, and is in the audit trail', async () => {
    const customer = await anOrganization(gateway, { credits: { purchased: '100' } });
    const { client, slug } = customer;
    expect(await configure(client, { enabled: true, threshold: '20.5', ...STARTER })).toEqual({
      __typename: 'AutoTopUpPayload',
      autoTopUp: {
        enabled: true,
        threshold: '20.5',
        package: { key: 'starter' },
        credits: null,
        monthlyCeiling: { amountMinor: 10000, currency: 'USD' },
        spentThisMonth: { amountMinor: 0, currency: 'USD' },
        suspendedReason: null,
      },
    });
    expect(await configure(client, { enabled: false })).toMatchObject({
      autoTopUp: { enabled: false, threshold: '20.5', package: { key: 'starter' } },
    });
    const { organization } = await client.run(AuditTrailDocument, { slug, first: 1 });
    expect(organization?.auditTrail?.edges.map(({ node }) => [node.action, node.after])).toEqual([
      [
        'configureAutoTopUp',
        { enabled: false, threshold: '20.5', packageKey: 'starter', monthlyCeiling: '100.00 USD' },
      ],
    ]);
  });

  it('while less than the threshold is left begins one at once', async () => {
    const customer = await anOrganization(gateway, { now: MORNING, credits: { purchased: '10' } });
    await configure(customer.client, { enabled: true, threshold: '50', ...STARTER });
    await runJob();
    expect(await stateOf(customer)).toMatchObject({ available: '1010', statuses: ['PAID'] });
  });

  it('buys nothing where enough was given in the meantime', async () => {
    const customer = await aCustomer();
    await debit(customer.client, '60');
    await grant(gateway, customer.id, 'promotional', '10');
    await runJob();
    expect((await stateOf(customer)).topUps).toEqual([]);
  });

  const TOP_UP = { enabled: true, threshold: '50' };
  it.each<[string, ConfigureAutoTopUpInput, string[]]>([
    ['a package and credits', { ...TOP_UP, ...STARTER, credits: '10' }, ['credits']],
    ['neither at first', TOP_UP, ['packageId']],
    ['no threshold at first', { enabled: true, ...STARTER }, ['threshold']],
    ['a threshold of 0', { enabled: true, threshold: '0', ...STARTER }, ['threshold']],
    ['a threshold below 0', { enabled: true, threshold: '-1', ...STARTER }, ['threshold']],
    ['credits of 0', { ...TOP_UP, credits: '0' }, ['credits']],
    ['more credits than one command may move', { ...TOP_UP, credits: '1000010' }, ['credits']],
    ['credits between the increments', { ...TOP_UP, credits: '15' }, ['credits']],
    ['a ceiling of 0', { ...TOP_UP, ...STARTER, monthlyCeilingMinor: 0 }, ['monthlyCeilingMinor']],
    ['a ceiling below the price of one', { ...TOP_UP, ...STARTER, monthlyCeilingMinor: 999 }, ['monthlyCeilingMinor']],
    ['switching off what never was on', { enabled: false }, ['packageId']],
  ])('refuses %s', async (_what, input, path) => {
    const customer = await anOrganization(gateway);
    await query(gateway.database, `UPDATE plan_subscription SET plan_key = 'team' WHERE organization_id = $1`, [
      decodeId('Organization', customer.id),
    ]);
    expect(await configure(customer.client, input)).toMatchObject({ __typename: 'InvalidInput', path });
    expect((await stateOf(customer)).autoTopUp).toBeNull();
  });

  it('refuses credits on a plan without top-ups, and names the increments of one with them', async () => {
    const { client } = await anOrganization(gateway, { plan: 'free' });
    expect(await configure(client, { ...TOP_UP, credits: '10' })).toMatchObject({
      __typename: 'InvalidInput',
      message: expect.stringContaining('the plan Free has no top-ups'),
    });
    const tens = await aCustomerInTens();
    expect(await configure(tens.client, { ...TOP_UP, credits: '15' })).toMatchObject({
      __typename: 'InvalidInput',
      message: expect.stringContaining('a whole multiple of 10 credits'),
    });
    expect((await stateOf(tens)).autoTopUp).toMatchObject({ credits: '10' });
  });

  it.each([
    ['unknown', encodeId('Package', 'gone')],
    ['malformed', 'no id'],
    ['of another type', encodeId('Plan', 'starter')],
  ])('finds no package that is %s', async (_what, packageId) => {
    const { client } = await anOrganization(gateway);
    expect(await configure(client, { ...TOP_UP, packageId })).toMatchObject({ __typename: 'NotFound' });
  });

  it.each(['threshold: 0.5', 'threshold: "1e2"', 'threshold: "1,5"', 'credits: "NaN"', 'monthlyCeilingMinor: 1e30'])(
    'cannot read %s',
    async (field) => {
      const { client } = await anOrganization(gateway);
      const { errors } = await client.raw(
        `mutation { configureAutoTopUp(input: { enabled: true, ${field} }) { __typename } }`,
      );
      expect(errors[0]?.extensions.code).toBe('BAD_USER_INPUT');
    },
  );
});
