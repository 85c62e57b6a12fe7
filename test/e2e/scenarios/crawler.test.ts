/** Scenario 3: a crawl API with estimates and a daily cap, on catalogs/crawler.yaml. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectPath } from '../../../src/project-path.ts';
import {
  type RecordUsageMode,
  ScenarioOffersDocument,
  type ScenarioRecordUsageMutation,
  ScenarioTransactionDocument,
  type UsageEventInput,
  type UsageInput,
} from '../../generated/documents.ts';
import { expectSoundBooks } from '../../support/books.ts';
import { startTestGateway, type TestGateway } from '../../support/gateway.ts';
import { advanceTo, aKey, anApiKey, type Given } from '../../support/given.ts';
import {
  aCustomer,
  as,
  authorize,
  captured,
  charged,
  debit,
  estimate,
  held,
  history,
  ledger,
  MORNING,
  nextChange,
  periodsPaid,
  record,
  refund,
  released,
  startScenario,
  subscribeTo,
  wallet,
  watchBalance,
} from './play.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startScenario('crawler');
});
afterAll(() => gateway[Symbol.asyncDispose]());

const MIDNIGHT = '2040-03-11T00:00:00.000Z';

type Outcome = Extract<
  ScenarioRecordUsageMutation['recordUsage'],
  { __typename: 'RecordUsagePayload' }
>['results'][number];

/** Pages fetched in a browser, an event each. */
const jsPages = (count: number): UsageEventInput[] =>
  Array.from({ length: count }, () => ({
    idempotencyKey: aKey(),
    usage: { meter: 'fetch', dimensions: { render_js: true } },
  }));

const fetched = (quantity: number, renderJs = true): UsageInput => ({
  meter: 'fetch',
  quantity,
  dimensions: { render_js: renderJs },
});

const capReached = (used: string, resetsAt = MIDNIGHT) => ({
  __typename: 'SpendLimitReached',
  code: 'SPEND_LIMIT_REACHED',
  limitCode: 'daily_credit_cap_exceeded',
  limit: '1000',
  used,
  resetsAt,
  httpStatus: 429,
});

/** Outcomes in their order, equal neighbours counted together: `["ACCEPTED 2", 500], ["REJECTED …", 100]`. */
function runs(results: readonly Outcome[]): [string, number][] {
  const counted: [string, number][] = [];
  for (const { status, credits, error } of results) {
    const outcome = `${status} ${error?.__typename ?? credits}`;
    const last = counted.at(-1);
    if (last?.[0] === outcome) last[1] += 1;
    else counted.push([outcome, 1]);
  }
  return counted;
}

/** A crawl of 600 pages in a browser, which stops when it may spend no more. */
const crawl = (customer: Pick<Given, 'client'>, mode: RecordUsageMode = 'UNTIL_BLOCKED') =>
  record(customer.client, { events: jsPages(600), mode });

describe('an estimate', () => {
  const fetches: [string, UsageInput['dimensions'], number][] = [
    ['static pages', undefined, 1],
    ['pages that are explicitly static', { render_js: false }, 1],
    ['pages in a browser', { render_js: true }, 2],
  ];
  const extractions: [string, string | null, number][] = [
    ['without extraction', null, 0],
    ['extracted by selectors', 'selectors', 1],
    ['extracted to a schema', 'schema', 2],
    ['extracted by a model', 'llm', 3],
  ];
  type Combination = [credits: number, what: string, usage: (quantity: number) => UsageInput[]];
  const combinations = fetches.flatMap(([pages, dimensions, fetchPrice]) =>
    extractions.map(([extraction, mode, extractPrice]): Combination => {
      const usage = (quantity: number): UsageInput[] => [
        { meter: 'fetch', quantity, ...(dimensions === undefined ? {} : { dimensions }) },
        ...(mode === null ? [] : [{ meter: 'extract', quantity, dimensions: { mode } }]),
      ];
      return [fetchPrice + extractPrice, `${pages} ${extraction}`, usage];
    }),
  );

  it.each(combinations)('is max_pages × %d for %s, and so is the charge', async (credits, _what, usage) => {
    const customer = await aCustomer(gateway);
    let spent = 0;
    for (const pages of [1, 7, 100]) {
      const price = String(pages * credits);
      const estimated = await estimate(customer.client, usage(pages));
      expect(estimated).toMatchObject({
        credits: price,
        affordable: true,
        blockedBy: null,
        availableCredits: String(5_000 - spent),
      });
      const answer = await charged(customer.client, { usage: usage(pages) });
      expect(answer.usage).toEqual({ credits: price, lines: estimated.lines });
      spent += pages * credits;
      expect(answer.availableCredits).toBe(String(5_000 - spent));
    }
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('of 600 pages in a browser is 1,200 credits, which today’s cap does not allow', async () => {
    const customer = await aCustomer(gateway);
    const before = await wallet(customer);
    expect(await estimate(customer.client, [fetched(600)])).toMatchObject({
      credits: '1200',
      affordable: false,
      availableCredits: '5000',
      blockedBy: capReached('0'),
    });
    expect(await estimate(customer.client, [fetched(500)])).toMatchObject({ credits: '1000', affordable: true });
    expect(await wallet(customer)).toEqual(before);
  });

  it('knows no extraction of another mode', async () => {
    const { client } = await aCustomer(gateway);
    for (const dimensions of [{ mode: 'guess' }, null]) {
      const usage = [fetched(1), { meter: 'extract', dimensions }];
      expect(await debit(client, { usage })).toMatchObject({ __typename: 'UnknownMeter', httpStatus: 422 });
    }
    expect((await charged(client, { usage: [fetched(1)] })).availableCredits).toBe('4998');
  });
});

describe('a crawl of 600 pages in a browser', () => {
  /** Where the organization is, what time it is, and when its day ends. */
  const places = [
    ['UTC', MORNING, MIDNIGHT],
    ['Pacific/Auckland at eleven at night', MORNING, '2040-03-10T11:00:00.000Z'],
    ['Asia/Kolkata', MORNING, '2040-03-10T18:30:00.000Z'],
    ['America/New_York', MORNING, '2040-03-11T05:00:00.000Z'],
    ['America/New_York on a day of 23 hours', '2040-03-11T05:30:00.000Z', '2040-03-12T04:00:00.000Z'],
    ['America/New_York on a day of 25 hours', '2040-11-04T04:30:00.000Z', '2040-11-05T05:00:00.000Z'],
  ] as const;

  it.each(places)('stops after 500 with what a day allows: in %s, at %s, until %s', async (place, now, resetsAt) => {
    const [timeZone] = place.split(' ');
    const customer = await aCustomer(gateway, { now, ...(timeZone === undefined ? {} : { timeZone }) });

    const { results, ...answer } = await crawl(customer);

    expect(runs(results)).toEqual([
      ['ACCEPTED 2', 500],
      ['REJECTED SpendLimitReached', 1],
      ['REJECTED NotAttempted', 99],
    ]);
    expect(results[500]?.error).toMatchObject(capReached('1000', resetsAt));
    expect(answer).toMatchObject({
      accepted: 500,
      duplicates: 0,
      rejected: 100,
      usage: { credits: '1000' },
      availableCredits: '4000',
    });
    // The 500 stay charged.
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '4000', balance: '4000' });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('goes on where it stopped when the cap has reset, not a minute before', async () => {
    const customer = await aCustomer(gateway, { timeZone: 'America/New_York' });
    const resetsAt = '2040-03-11T05:00:00.000Z';
    const events = jsPages(600);
    const first = await record(customer.client, { events, mode: 'UNTIL_BLOCKED' });
    expect(first.results[500]?.error).toMatchObject(capReached('1000', resetsAt));

    await advanceTo(gateway, customer.id, '2040-03-11T04:59:00.000Z');
    expect(await debit(customer.client, { usage: [fetched(1)] })).toMatchObject(capReached('1000', resetsAt));
    await advanceTo(gateway, customer.id, resetsAt);

    // Pages that were not attempted keep their keys; the refused one is another attempt under a key of its own.
    const rest = events.slice(500).map((event, index) => (index === 0 ? { ...event, idempotencyKey: aKey() } : event));
    const second = await record(customer.client, { events: rest, mode: 'UNTIL_BLOCKED' });
    expect(runs(second.results)).toEqual([['ACCEPTED 2', 100]]);
    expect(second).toMatchObject({ usage: { credits: '200' }, availableCredits: '3800' });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('sent again answers as before and charges nothing twice', async () => {
    const customer = await aCustomer(gateway);
    const events = jsPages(600);
    await record(customer.client, { events, mode: 'UNTIL_BLOCKED' });
    const before = await wallet(customer);
    const again = await record(customer.client, { events, mode: 'UNTIL_BLOCKED' });
    expect(runs(again.results)).toEqual([
      ['DUPLICATE 2', 500],
      ['DUPLICATE SpendLimitReached', 1],
      ['REJECTED NotAttempted', 99],
    ]);
    expect(again).toMatchObject({ accepted: 0, duplicates: 501, rejected: 99, usage: { credits: '0' } });
    expect(await wallet(customer)).toEqual(before);
  });

  it('that goes on regardless has each of the last 100 refused', async () => {
    const customer = await aCustomer(gateway);
    const { results, ...answer } = await crawl(customer, 'EACH');
    expect(runs(results)).toEqual([
      ['ACCEPTED 2', 500],
      ['REJECTED SpendLimitReached', 100],
    ]);
    for (const { error } of results.slice(500)) expect(error).toMatchObject(capReached('1000'));
    expect(answer).toMatchObject({
      accepted: 500,
      rejected: 100,
      usage: { credits: '1000' },
      availableCredits: '4000',
    });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('of 5,000 pages in one call is charged from its beginning on', async () => {
    const customer = await aCustomer(gateway);
    const { results } = await record(customer.client, { events: jsPages(5_000) });
    expect(runs(results)).toEqual([
      ['ACCEPTED 2', 500],
      ['REJECTED SpendLimitReached', 4_500],
    ]);
    expect((await wallet(customer)).totalAvailable).toBe('4000');
  });

  it('that wants all or nothing gets nothing', async () => {
    const customer = await aCustomer(gateway);
    const before = await wallet(customer);
    const { results, ...answer } = await crawl(customer, 'ALL_OR_NOTHING');
    expect(runs(results)).toEqual([
      ['REJECTED NotAttempted', 500],
      ['REJECTED SpendLimitReached', 1],
      ['REJECTED NotAttempted', 99],
    ]);
    expect(answer).toMatchObject({ accepted: 0, rejected: 600, usage: { credits: '0' }, availableCredits: '5000' });
    expect(await wallet(customer)).toEqual(before);
    expect((await charged(customer.client, { usage: [fetched(500)] })).usage.credits).toBe('1000');
  });

  it('as one charge is refused as a whole', async () => {
    const customer = await aCustomer(gateway);
    const before = await wallet(customer);
    expect(await debit(customer.client, { usage: [fetched(600)] })).toMatchObject(capReached('0'));
    const event = { idempotencyKey: aKey(), usage: fetched(600) };
    const { results, usage } = await record(customer.client, { events: [event], mode: 'UNTIL_BLOCKED' });
    expect({ results, usage }).toMatchObject({ results: [{ error: capReached('0') }], usage: { credits: '0' } });
    expect(await wallet(customer)).toEqual(before);
    // All of the day is still there.
    expect(await charged(customer.client, { usage: [fetched(500)] })).toMatchObject({
      usage: { credits: '1000' },
      availableCredits: '4000',
    });
    expect(await debit(customer.client, { usage: [fetched(1)] })).toMatchObject(capReached('1000'));
  });

  it('leaves what is too little for one more page in a browser to a static one', async () => {
    const customer = await aCustomer(gateway);
    await charged(customer.client, { usage: [fetched(1, false)] });
    const { results } = await crawl(customer);
    expect(runs(results).slice(0, 2)).toEqual([
      ['ACCEPTED 2', 499],
      ['REJECTED SpendLimitReached', 1],
    ]);
    expect(results[499]?.error).toMatchObject(capReached('999'));
    expect(await charged(customer.client, { usage: [fetched(1, false)] })).toMatchObject({ availableCredits: '4000' });
    expect(await debit(customer.client, { usage: [fetched(1, false)] })).toMatchObject(capReached('1000'));
  });

  it('gets no room back under the cap by a refund', async () => {
    const customer = await aCustomer(gateway);
    const { transaction } = await charged(customer.client, { usage: [fetched(500)] });
    expect(as('RefundPayload', await refund(customer.client, transaction.id)).availableCredits).toBe('5000');
    expect(await debit(customer.client, { usage: [fetched(1)] })).toMatchObject(capReached('1000'));
  });

  it('is explained by the cap that it met', async () => {
    const customer = await aCustomer(gateway);
    await charged(customer.client, { usage: [fetched(200)] });
    const { transaction } = await charged(customer.client, { usage: [fetched(100)] });
    expect(transaction.explanation).toMatchObject({
      lines: [{ rate: '2 credits per page', credits: '200' }],
      lots: [{ taken: '200', lot: { bucket: { key: 'monthly_plan' } } }],
      limits: [{ limitCode: 'daily_credit_cap_exceeded', limit: '1000', used: '400', blocked: false }],
    });
  });
});

describe('two crawls at once', () => {
  it('of two keys never exceed the cap together', async () => {
    const customer = await aCustomer(gateway);
    const crawlers = await Promise.all(
      [1, 2].map(async () => ({ client: gateway.as(await anApiKey(gateway, customer.id, 'USAGE_WRITE')) })),
    );
    await expectCapKept(customer, crawlers);
  });

  it('of two gateways never exceed the cap together', async () => {
    const customer = await aCustomer(gateway);
    await using other = await startTestGateway({
      database: gateway.database,
      env: { PURSER_CATALOG: projectPath('catalogs/crawler.yaml') },
    });
    await expectCapKept(customer, [customer, { client: other.as(customer.secret) }]);
  });

  async function expectCapKept(customer: Given, crawlers: readonly Pick<Given, 'client'>[]): Promise<void> {
    const inBatches = (crawler: Pick<Given, 'client'>) =>
      Array.from({ length: 12 }, () => record(crawler.client, { events: jsPages(50), mode: 'UNTIL_BLOCKED' }));
    const answers = await Promise.all(crawlers.flatMap((crawler) => [crawl(crawler), ...inBatches(crawler)]));
    const accepted = answers.reduce((sum, answer) => sum + answer.accepted, 0);
    expect(accepted).toBe(500);
    const refusals = answers.flatMap(({ results }) => results.flatMap(({ error }) => error ?? []));
    for (const refusal of refusals.filter(({ code }) => code !== 'NOT_ATTEMPTED')) {
      expect(refusal).toMatchObject(capReached('1000'));
    }
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '4000', balance: '4000' });
    await expectSoundBooks(gateway.database, customer.id);
  }
});

describe('an asynchronous job', () => {
  it('holds its estimate, which counts under the cap, and its credits are readable by task when it has ended', async () => {
    const customer = await aCustomer(gateway);
    const { client } = customer;
    const job = { taskId: 'job-1', executionId: 'job-1/1' };
    const page = (quantity: number): UsageInput[] => [
      fetched(quantity),
      { meter: 'extract', quantity, dimensions: { mode: 'llm' } },
    ];
    const { credits } = await estimate(client, page(180));
    expect(credits).toBe('900');

    const { hold, usage } = await held(client, { ...job, usage: page(180) });
    expect({ hold, credits: usage.credits }).toMatchObject({ hold: { amount: '900' }, credits: '900' });
    // Another job finds only what is left of the day.
    expect(await authorize(client, { usage: [fetched(51)] })).toMatchObject(capReached('900'));

    const first = await captured(client, { holdId: hold.id, usage: page(60), final: false });
    expect(first).toMatchObject({ usage: { credits: '300' }, hold: { status: 'OPEN', remaining: '600' } });
    const last = await captured(client, { holdId: hold.id, usage: page(41) });
    expect(last).toMatchObject({ usage: { credits: '205' }, hold: { status: 'CAPTURED', captured: '505' } });

    const entries = await ledger(customer, { taskId: 'job-1' });
    expect(entries.map(({ amount, executionId }) => [amount, executionId])).toEqual([
      ['300', 'job-1/1'],
      ['205', 'job-1/1'],
    ]);
    const { node } = await client.run(ScenarioTransactionDocument, { id: last.transaction.id });
    expect(node).toMatchObject({
      kind: 'CAPTURE',
      amount: '-205',
      lines: [
        { meter: 'fetch', quantity: '41', credits: '82' },
        { meter: 'extract', quantity: '41', credits: '123' },
      ],
    });
    // What it did not use is free for others again: 1,000 − 505.
    expect(await authorize(client, { usage: [fetched(248)] })).toMatchObject(capReached('505'));
    expect((await held(client, { usage: [fetched(247)] })).usage.credits).toBe('494');
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('reads what its own calls cost with the key that made them, and nothing of the wallet', async () => {
    const customer = await aCustomer(gateway);
    const client = gateway.as(await anApiKey(gateway, customer.id, 'USAGE_WRITE'));
    const { hold } = await held(client, { taskId: 'job-2', usage: [fetched(10)] });
    const { transaction } = await captured(client, { holdId: hold.id, usage: [fetched(8)] });
    expect((await client.run(ScenarioTransactionDocument, { id: transaction.id })).node).toMatchObject({
      amount: '-16',
      lines: [{ meter: 'fetch', quantity: '8', credits: '16' }],
      entries: null,
    });
    await expect(wallet({ client, slug: customer.slug })).rejects.toThrow('no wallet');
  });

  it('that is given up gives the whole day back', async () => {
    const customer = await aCustomer(gateway);
    const { hold } = await held(customer.client, { usage: [fetched(500)] });
    expect(await debit(customer.client, { usage: [fetched(1, false)] })).toMatchObject(capReached('1000'));
    await released(customer.client, hold.id);
    expect((await charged(customer.client, { usage: [fetched(500)] })).usage.credits).toBe('1000');
  });

  it('that runs over midnight counts in the day in which it was held', async () => {
    const customer = await aCustomer(gateway);
    await advanceTo(gateway, customer.id, '2040-03-10T23:30:00.000Z');
    const { hold } = await held(customer.client, { usage: [fetched(500)] });
    await advanceTo(gateway, customer.id, '2040-03-11T00:10:00.000Z');
    expect((await captured(customer.client, { holdId: hold.id })).usage.credits).toBe('1000');
    expect(await charged(customer.client, { usage: [fetched(500)] })).toMatchObject({ availableCredits: '3000' });
    expect(await debit(customer.client, { usage: [fetched(1)] })).toMatchObject(
      capReached('1000', '2040-03-12T00:00:00.000Z'),
    );
  });
});

describe('every answer', () => {
  it('carries the credits that the call used', async () => {
    const customer = await aCustomer(gateway);
    const client = gateway.as(await anApiKey(gateway, customer.id, 'USAGE_WRITE'));
    const input = { idempotencyKey: aKey(), usage: [fetched(3)] };
    const none = { idempotencyKey: aKey(), usage: [fetched(0)] };
    expect((await charged(client, input)).usage.credits).toBe('6');
    expect(await charged(client, input)).toMatchObject({ usage: { credits: '6' }, replayed: true });
    expect((await charged(client, none)).usage.credits).toBe('0');
    expect((await charged(client, { amount: '2.5' })).usage).toEqual({ credits: '2.5', lines: [] });
    expect((await record(client, { events: jsPages(3) })).usage.credits).toBe('6');
    const { hold, usage } = await held(client, { usage: [fetched(10)] });
    expect(usage.credits).toBe('20');
    expect((await captured(client, { holdId: hold.id, usage: [fetched(4)] })).usage.credits).toBe('8');
    expect((await wallet(customer)).totalAvailable).toBe('4977.5');
  });
});

describe('the pro plan', () => {
  it('has 50,000 credits a day and no cap', async () => {
    const { plans } = await gateway.as().run(ScenarioOffersDocument, {});
    expect(plans.map(({ key, dailyCreditCap, allowances }) => ({ key, dailyCreditCap, allowances }))).toEqual([
      {
        key: 'free',
        dailyCreditCap: '1000',
        allowances: [{ bucketKey: 'monthly_plan', interval: 'MONTH', credits: '5000' }],
      },
      {
        key: 'pro',
        dailyCreditCap: null,
        allowances: [{ bucketKey: 'daily_free', interval: 'DAY', credits: '50000' }],
      },
    ]);
    const customer = await aCustomer(gateway, { plan: 'pro', timeZone: 'Asia/Kolkata' });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '50000', subscriptionCredits: '50000' });

    const { results, ...answer } = await crawl(customer);
    expect(runs(results)).toEqual([['ACCEPTED 2', 600]]);
    expect(answer).toMatchObject({ usage: { credits: '1200' }, availableCredits: '48800' });
    expect(await charged(customer.client, { usage: [fetched(24_400)] })).toMatchObject({
      usage: { credits: '48800' },
      availableCredits: '0',
      transaction: { explanation: { limits: [] } },
    });
    expect(await debit(customer.client, { usage: [fetched(1)] })).toMatchObject({
      __typename: 'InsufficientCredits',
      requiredCredits: '2',
      availableCredits: '0',
    });

    await advanceTo(gateway, customer.id, '2040-03-10T18:30:00.000Z');
    expect((await charged(customer.client, { usage: [fetched(25_000)] })).availableCredits).toBe('0');
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('is paid at a checkout, carries what a day leaves into the next, and renews by itself', async () => {
    const customer = await aCustomer(gateway);
    await subscribeTo(customer, 'pro');
    expect((await charged(customer.client, { usage: [fetched(10_000)] })).availableCredits).toBe('30000');
    // 30,000 are carried over; a day later they end, and 50,000 of what that day left are.
    await advanceTo(gateway, customer.id, MIDNIGHT);
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '80000' });
    await advanceTo(gateway, customer.id, '2040-03-12T00:00:00.000Z');
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '100000' });
    expect((await charged(customer.client, { usage: [fetched(45_000)] })).availableCredits).toBe('10000');
    await advanceTo(gateway, customer.id, '2040-03-13T00:00:00.000Z');
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '60000' });

    await advanceTo(gateway, customer.id, '2040-04-10T00:00:01.000Z');
    expect(await periodsPaid(customer)).toEqual(['PAID 9900', 'PAID 9900']);
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '100000' });
    await expectSoundBooks(gateway.database, customer.id);
  });

  it('lets a job go on over midnight with the credits that it holds, while the rest of the day’s is carried over', async () => {
    const customer = await aCustomer(gateway, { plan: 'pro' });
    const { client, id } = customer;
    await advanceTo(gateway, id, '2040-03-10T23:30:00.000Z');
    const { hold } = await held(client, { usage: [fetched(500)] });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '49000', held: '1000', balance: '50000' });
    await using live = await watchBalance(gateway, customer);

    await advanceTo(gateway, id, MIDNIGHT);

    expect(await nextChange(live)).toMatchObject({ reasonCode: 'ROLLOVER', change: '0', totalAvailable: '49000' });
    expect(await nextChange(live)).toMatchObject({ reasonCode: 'ALLOWANCE', change: '50000', totalAvailable: '99000' });
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '99000', held: '1000', balance: '100000' });

    expect(await captured(client, { holdId: hold.id, usage: [fetched(300)] })).toMatchObject({
      usage: { credits: '600' },
      availableCredits: '99000',
    });
    // What it did not use has expired with its day.
    expect(await history(customer, { from: MIDNIGHT })).toEqual([
      ['ROLLOVER', '-49000'],
      ['ROLLOVER', '49000'],
      ['ALLOWANCE', '50000'],
      ['USAGE', '-600'],
      ['EXPIRY', '-400'],
    ]);
    expect(await wallet(customer)).toMatchObject({ totalAvailable: '99000', held: '0', balance: '99000' });
    await expectSoundBooks(gateway.database, id);
  });
});
