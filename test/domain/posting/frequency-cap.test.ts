/** Frequency caps, by the rules of domain/limits/README.md. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FrequencyCap } from '../../../src/domain/limits/frequency-cap.ts';
import type { LimitWindow, PlanLimit } from '../../../src/domain/limits/plan-limit.ts';
import { decideEstimate } from '../../../src/domain/posting/decide-estimate.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, type Books, type PolicyOptions, policies } from '../../support/builders-books.ts';
import {
  aCapture,
  aDebit,
  aDebitOf,
  anAuthorization,
  aRefund,
  aRelease,
  aSettlement,
  someEvents,
} from '../../support/builders-commands.ts';
import { aHold, eventsOf, heldBy, postedBy, refusedBy } from '../../support/builders-outcomes.ts';
import { after, aRate, at, credits, usageOf } from '../../support/builders-values.ts';

const NOBODY = { userId: null, projectId: null, apiKeyId: null };
const NOW = at('2026-03-10T12:30:00');
const MIDNIGHT = at('2026-03-11T00:00:00');
const HOUR = 3_600_000;

const rates = [
  aRate('run', '1'),
  aRate('run', '0.1', { preview: true }),
  aRate('run', '0', { match: { tool: 'free' } }),
  aRate('read', '0'),
];
const cap = (max: number, window: LimitWindow = 'DAY', key = 'run'): FrequencyCap => ({ key, max, window });
const rules = (limits: readonly PlanLimit[], options: PolicyOptions = {}) => policies({ rates, limits, ...options });
const wallet = (...limits: readonly PlanLimit[]) => aWallet().at(NOW).under(rules(limits)).withLot('purchased', '100');
const run = (quantity = '1') => usageOf('run', quantity);
const preview = usageOf('run', '1', null, true);
const runs = (count: number) => Array.from({ length: count }, () => run());
const counted = (books: Books) => books.operationCounts.map(({ key, window, operations }) => [key, window, operations]);

describe('a frequency cap', () => {
  it('may be reached and not passed, however much one operation is', () => {
    const books = wallet(cap(3)).books();
    postedBy(books, aDebitOf([run('20'), run('0.5')]));
    const before = stateOf(books);
    expect(refusedBy(books, aDebitOf(runs(2)))).toMatchObject({
      code: 'PLAN_LIMIT_REACHED',
      key: 'run',
      limit: 3,
      current: 2,
      resetsAt: MIDNIGHT,
      explanation: { lines: [{ meter: 'run' }, { meter: 'run' }], rateCardVersion: 1 },
    });
    expect(stateOf(books)).toEqual(before);
    postedBy(books, aDebitOf([run()]));
    expect(refusedBy(books, aDebitOf([run()]))).toMatchObject({ current: 3 });
    expectSound(books);
  });

  it('counts free work and lines of no quantity, and refuses them', () => {
    const books = aWallet()
      .at(NOW)
      .under(rules([cap(2)]))
      .books();
    postedBy(books, aDebitOf([usageOf('run', '1', { tool: 'free' })]));
    postedBy(books, aDebitOf([usageOf('run', '0')]));
    expect(refusedBy(books, aDebitOf([usageOf('run', '1', { tool: 'free' })])).code).toBe('PLAN_LIMIT_REACHED');
  });

  it('counts neither other meters nor amounts, and refuses neither', () => {
    const books = wallet(cap(1)).books();
    postedBy(books, aDebitOf([run()]));
    postedBy(books, aDebitOf([usageOf('read', '9')]));
    postedBy(books, aDebit('5'));
    expect(counted(books)).toEqual([['run', 'DAY', 1]]);
  });

  it('of a meter and of its previews are apart', () => {
    const books = wallet(cap(1), cap(2, 'DAY', 'run:preview')).books();
    postedBy(books, aDebitOf([preview, run(), preview]));
    expect(refusedBy(books, aDebitOf([run()]))).toMatchObject({ key: 'run', limit: 1 });
    expect(refusedBy(books, aDebitOf([preview]))).toMatchObject({ key: 'run:preview', limit: 2 });
  });

  it('of 0 allows none', () => {
    expect(refusedBy(wallet(cap(0)).books(), aDebitOf([run()]))).toMatchObject({ limit: 0, current: 0 });
  });

  it('may stand beside one of another window, and the first in the plan’s order is named', () => {
    const books = wallet(cap(3, 'DAY'), cap(2, 'HOUR')).books();
    postedBy(books, aDebitOf(runs(2)));
    expect(refusedBy(books, aDebitOf([run()]))).toMatchObject({ limit: 2, resetsAt: at('2026-03-10T13:00:00') });
    expect(refusedBy(books, aDebitOf(runs(2)))).toMatchObject({ limit: 3, resetsAt: MIDNIGHT });
    postedBy(books.moveTo(at('2026-03-10T13:00:00')), aDebitOf([run()]));
    expect(refusedBy(books, aDebitOf([run()]))).toMatchObject({ limit: 3, current: 3 });
  });

  it.each([
    ['HOUR', 'UTC', '2026-03-10T13:00:00'],
    ['HOUR', 'Asia/Kathmandu', '2026-03-10T13:15:00'],
    ['DAY', 'America/New_York', '2026-03-11T04:00:00'],
    ['MONTH', 'UTC', '2026-04-01T00:00:00'],
    ['MONTH', 'Europe/Berlin', '2026-03-31T22:00:00'],
  ] as const)('a %s in %s begins anew at %s, and not a millisecond before', (window, timeZone, end) => {
    const books = wallet(cap(1, window)).in(timeZone).books();
    postedBy(books, aDebitOf([run()]));
    expect(refusedBy(books.moveTo(after(at(end), -1)), aDebitOf([run()]))).toMatchObject({ resetsAt: at(end) });
    postedBy(books.moveTo(at(end)), aDebitOf([run()]));
    expect(refusedBy(books, aDebitOf([run()])).code).toBe('PLAN_LIMIT_REACHED');
  });

  it('is named after the subscription, and before the daily cap and the funds', () => {
    const poor = aWallet()
      .at(NOW)
      .under(rules([cap(1)], { dailyCreditCap: '1' }))
      .books();
    poor.status = 'PAST_DUE';
    expect(refusedBy(poor, aDebitOf(runs(2))).code).toBe('SUBSCRIPTION_REQUIRED');
    poor.status = 'ACTIVE';
    expect(refusedBy(poor, aDebitOf(runs(2)))).toMatchObject({
      code: 'PLAN_LIMIT_REACHED',
      explanation: { limits: [{ limitCode: 'daily_credit_cap_exceeded', blocked: true }] },
    });
    expect(refusedBy(poor, aDebitOf([run('2')])).code).toBe('SPEND_LIMIT_REACHED');
    expect(refusedBy(poor, aDebitOf([run()])).code).toBe('INSUFFICIENT_CREDITS');
  });

  it('counts nothing that was refused for another reason, nor an answer given again', () => {
    const books = wallet(cap(3)).books();
    const command = aDebitOf([run()], { key: 'k' });
    postedBy(books, command);
    books.run(command, command, aDebitOf([run('1000')]), aDebitOf([run(), usageOf('fly', '1')]));
    expect(counted(books)).toEqual([['run', 'DAY', 1]]);
  });

  it('refuses for good under a key', () => {
    const books = wallet(cap(1)).books();
    postedBy(books, aDebitOf([run()]));
    const command = aDebitOf([run()], { key: 'k' });
    refusedBy(books, command);
    expect(refusedBy(books.moveTo(MIDNIGHT), command)).toMatchObject({
      code: 'PLAN_LIMIT_REACHED',
      resetsAt: MIDNIGHT,
      replayed: true,
    });
    postedBy(books, aDebitOf([run()], { key: 'new' }));
  });

  it('gets no room back by a refund', () => {
    const books = wallet(cap(1)).books();
    const { transaction } = postedBy(books, aDebitOf([run()]));
    postedBy(books, aRefund(transaction.id));
    expect(refusedBy(books, aDebitOf([run()]))).toMatchObject({ current: 1 });
  });

  it('is that of the plan: a wallet whose plan has none counts nothing', () => {
    const books = wallet(cap(1)).books();
    books.planKey = 'a plan that no catalog knows';
    postedBy(books, aDebitOf(runs(5)));
    expect(books.operationCounts).toEqual([]);
  });

  it('stops a batch of events where it is reached', () => {
    const modes = (['EACH', 'UNTIL_BLOCKED', 'ALL_OR_NOTHING'] as const).map((mode) => {
      const books = wallet(cap(2)).books();
      const batch = [run(), run(), run(), usageOf('read', '1')].map((usage) => aDebitOf([usage]));
      const outcomes = eventsOf(books.post(someEvents(mode, batch)));
      return [
        outcomes.map((outcome) => (outcome.status === 'refused' ? outcome.refusal.code : outcome.status)),
        counted(books),
      ];
    });
    const reached = 'PLAN_LIMIT_REACHED';
    expect(modes).toEqual([
      [['posted', 'posted', reached, 'posted'], [['run', 'DAY', 2]]],
      [['posted', 'posted', reached, 'NOT_ATTEMPTED'], [['run', 'DAY', 2]]],
      [['NOT_ATTEMPTED', 'NOT_ATTEMPTED', reached, 'NOT_ATTEMPTED'], []],
    ]);
  });

  it('tells the plans on sale, cheapest first, that would let the same pass', () => {
    const cappedOffers = [
      { planKey: 'free', frequencyCaps: [cap(2)] },
      { planKey: 'tight', frequencyCaps: [cap(3)] },
      { planKey: 'studio', frequencyCaps: [cap(4), cap(1, 'HOUR')] },
      { planKey: 'open', frequencyCaps: [cap(0, 'DAY', 'read')] },
    ];
    const books = aWallet()
      .at(NOW)
      .under(rules([cap(2)], { cappedOffers }))
      .withLot('purchased', '9')
      .books();
    postedBy(books, aDebitOf(runs(2)));
    expect(refusedBy(books, aDebitOf([run()]))).toMatchObject({ upgradePlanKeys: ['tight', 'studio', 'open'] });
    expect(refusedBy(books, aDebitOf(runs(2)))).toMatchObject({ upgradePlanKeys: ['studio', 'open'] });
    expect(refusedBy(books, aDebitOf(runs(9)))).toMatchObject({ upgradePlanKeys: ['open'] });
  });

  it('blocks an estimate as it would the charge', () => {
    const books = wallet(cap(2)).books();
    postedBy(books, aDebitOf([run()]));
    const estimated = (count: number) =>
      decideEstimate(books.snapshot(), { usage: runs(count), spender: NOBODY }, rules([cap(2)]), () => 'id');
    expect(estimated(1)).toMatchObject({ blockedBy: null });
    expect(estimated(2)).toMatchObject({
      credits: credits('2'),
      blockedBy: { code: 'PLAN_LIMIT_REACHED', key: 'run', current: 1, resetsAt: MIDNIGHT },
    });
  });
});

describe('a hold under a frequency cap', () => {
  const reserve = (books: Books, count: number, lifeSeconds = 86_400) =>
    aHold(books, '0', { usage: runs(count), lifeSeconds });

  it('reserves its operations when it is made', () => {
    const books = wallet(cap(3)).books();
    reserve(books, 2);
    expect(refusedBy(books, anAuthorization('0', { usage: runs(2) }))).toMatchObject({ current: 2 });
    postedBy(books, aDebitOf([run()]));
    expect(refusedBy(books, aDebitOf([run()]))).toMatchObject({ current: 3 });
  });

  it('is not counted again when it is captured', () => {
    const books = wallet(cap(3)).books();
    postedBy(books, aCapture(reserve(books, 2)));
    expect(counted(books)).toEqual([['run', 'DAY', 2]]);
    expectSound(books);
  });

  it('gives back the operations that were not done', () => {
    const books = wallet(cap(3)).books();
    postedBy(books, aCapture(reserve(books, 3), { usage: [run('0.5')] }));
    expect(counted(books)).toEqual([['run', 'DAY', 1]]);
  });

  it('uses them capture by capture', () => {
    const books = wallet(cap(4)).books();
    const id = reserve(books, 4);
    postedBy(books, aCapture(id, { usage: [run()], final: false }));
    postedBy(books, aCapture(id, { usage: [run()], final: false }));
    expect(counted(books)).toEqual([['run', 'DAY', 4]]);
    heldBy(books, aRelease(id));
    expect(counted(books)).toEqual([['run', 'DAY', 2]]);
  });

  it('has used all of them where a capture names no usage', () => {
    const books = wallet(cap(3)).books();
    const id = reserve(books, 3);
    postedBy(books, aCapture(id, { amount: '1', final: false }));
    heldBy(books, aRelease(id));
    expect(counted(books)).toEqual([['run', 'DAY', 3]]);
  });

  it('counts what is done beyond it in the window of the capture, and is not refused', () => {
    const books = wallet(cap(2)).books();
    const id = reserve(books, 2);
    books.moveTo(after(MIDNIGHT, HOUR));
    postedBy(books, aDebitOf(runs(2)));
    postedBy(books, aCapture(id, { usage: [run('0.5'), run('0.5'), run('0.5')] }));
    expect(refusedBy(books, aDebitOf([run()]))).toMatchObject({ limit: 2, current: 3 });
  });

  it('of yesterday gives nothing back to today', () => {
    const books = wallet(cap(2)).books();
    const id = reserve(books, 2);
    books.moveTo(after(MIDNIGHT, HOUR));
    postedBy(books, aDebitOf([run()]));
    heldBy(books, aRelease(id));
    expect(counted(books)).toEqual([['run', 'DAY', 1]]);
  });

  it('gives its operations back when it lapses', () => {
    const books = wallet(cap(2)).books();
    reserve(books, 2, 60);
    books.moveTo(after(NOW, 60_000)).post(aSettlement());
    expect(counted(books)).toEqual([['run', 'DAY', 0]]);
    postedBy(books, aDebitOf(runs(2)));
  });

  it('of free work reserves them too', () => {
    const books = aWallet()
      .at(NOW)
      .under(rules([cap(1, 'DAY', 'read')]))
      .books();
    const id = aHold(books, '0', { usage: [usageOf('read', '1')] });
    expect(refusedBy(books, aDebitOf([usageOf('read', '1')])).code).toBe('PLAN_LIMIT_REACHED');
    heldBy(books, aRelease(id));
    postedBy(books, aDebitOf([usageOf('read', '1')]));
  });

  it('that was made under a plan without the cap gives nothing back under one with it', () => {
    const books = wallet(cap(2)).books();
    books.planKey = 'a plan that no catalog knows';
    const id = reserve(books, 2);
    books.planKey = 'plan';
    postedBy(books, aDebitOf([run()]));
    heldBy(books, aRelease(id));
    expect(counted(books)).toEqual([['run', 'DAY', 1]]);
  });
});

describe('operations in any order', () => {
  it('within one day are never more than the cap, overage apart, and count what was done or is reserved', () => {
    const step = fc.record({
      kind: fc.constantFrom('debit', 'hold', 'capture', 'part', 'release', 'lapse'),
      count: fc.integer({ min: 1, max: 4 }),
      which: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (sequence) => {
        const books = wallet(cap(6)).books();
        let done = 0;
        const open = new Map<string, number>();
        for (const { kind, count, which } of sequence) {
          const [id = 'none', left = 0] = [...open][which % Math.max(open.size, 1)] ?? [];
          const used = Math.min(count, left);
          if (kind === 'debit') {
            if (books.post(aDebitOf(runs(count))).status === 'posted') done += count;
          } else if (kind === 'hold') {
            const outcome = books.post(anAuthorization('0', { usage: runs(count), lifeSeconds: 600 }));
            if (outcome.status === 'held') open.set(outcome.hold.facts.id, count);
          } else if (kind === 'release') {
            books.post(aRelease(id));
            open.delete(id);
          } else if (kind === 'lapse') {
            books.moveTo(after(books.now, 601_000)).post(aSettlement());
            open.clear();
          } else if (used > 0) {
            postedBy(books, aCapture(id, { usage: runs(used), final: kind === 'capture' }));
            done += used;
            if (kind === 'capture') open.delete(id);
            else open.set(id, left - used);
          }
          const reserved = [...open.values()].reduce((sum, each) => sum + each, 0);
          expect(books.operationCounts[0]?.operations ?? 0).toBe(done + reserved);
          expect(done + reserved).toBeLessThanOrEqual(6);
        }
        expectSound(books);
      }),
      { numRuns: 100 },
    );
  });
});
