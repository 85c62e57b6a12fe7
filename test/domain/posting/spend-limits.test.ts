/** Spend limits of organizations, projects, members and keys. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LimitWindow } from '../../../src/domain/limits/plan-limit.ts';
import type { SpendLimit, SpendLimitScope } from '../../../src/domain/limits/spend-limit.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
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

const NOW = at('2026-03-10T12:30:00');
const MIDNIGHT = at('2026-03-11T00:00:00');
const HOUR = 3_600_000;
/** The key of every command of these tests. */
const KEY = 'key-1';

const rates = [aRate('scrape', '1', { unit: 'page' }), aRate('read', '0')];
const rules = (options: { dailyCreditCap?: string; overdraft?: string } = {}) => policies({ rates, ...options });

const limit = (scope: SpendLimitScope, targetId: string | null, window: LimitWindow, amount: string): SpendLimit => ({
  id: `${scope} ${targetId} ${window}`,
  scope,
  targetId,
  window,
  credits: credits(amount),
});

function wallet(limits: readonly SpendLimit[], options: { dailyCreditCap?: string; overdraft?: string } = {}): Books {
  const books = aWallet().at(NOW).under(rules(options)).withLot('purchased', '100').books();
  books.spendLimits = limits;
  return books;
}

const usedOf = (books: Books, { id }: SpendLimit) =>
  books.spendCounts.find(({ counter }) => counter === id)?.used ?? 0n;
const forUser = (userId: string) => ({ attribution: { userId } });

const DAILY = limit('ORGANIZATION', null, 'DAY', '10');
const KIM = limit('USER', 'kim', 'DAY', '10');

describe('a spend limit', () => {
  it('may be reached and not passed, and its refusal says which, what is used and when it begins anew', () => {
    const books = wallet([DAILY]);
    postedBy(books, aDebit('9.999999'));
    const before = stateOf(books);
    expect(refusedBy(books, aDebit('0.000002'))).toMatchObject({
      code: 'SPEND_LIMIT_REACHED',
      limitCode: 'organization_daily_limit_exceeded',
      limit: credits('10'),
      used: credits('9.999999'),
      resetsAt: MIDNIGHT,
      spendLimitId: DAILY.id,
      explanation: { limits: [{ limitCode: 'organization_daily_limit_exceeded', blocked: true }] },
    });
    expect(stateOf(books)).toEqual(before);
    postedBy(books, aDebit('0.000001'));
    expect(usedOf(books, DAILY)).toBe(credits('10'));
    expectSound(books);
  });

  it.each([
    [
      'PROJECT',
      'p',
      { attribution: { projectId: 'p' } },
      { attribution: { projectId: 'q' } },
      'project_monthly_limit_exceeded',
    ],
    [
      'USER',
      'kim',
      { attribution: { userId: 'kim' } },
      { attribution: { userId: 'lee' } },
      'user_monthly_limit_exceeded',
    ],
  ] as const)('of a %s counts what is attributed to it and nothing else', (scope, id, own, other, limitCode) => {
    const books = wallet([limit(scope, id, 'MONTH', '10')]);
    postedBy(books, aDebit('10', own));
    expect(refusedBy(books, aDebit('1', own))).toMatchObject({ limitCode, used: credits('10') });
    expect(refusedBy(books, anAuthorization('1', own))).toMatchObject({ limitCode });
    postedBy(books, aDebit('20', other));
    postedBy(books, aDebit('20'));
    expect(books.spendCounts).toMatchObject([{ used: credits('10') }]);
  });

  it('of a key counts what that key charges', () => {
    const [own, other] = [limit('API_KEY', KEY, 'HOUR', '10'), limit('API_KEY', 'another', 'HOUR', '0')];
    const books = wallet([own, other]);
    postedBy(books, aDebit('10'));
    expect(refusedBy(books, aDebit('1'))).toMatchObject({
      limitCode: 'api_key_hourly_limit_exceeded',
      resetsAt: at('2026-03-10T13:00:00'),
    });
  });

  it('of a key counts nothing that a person charges, be their id the same', () => {
    const books = wallet([limit('API_KEY', KEY, 'HOUR', '0')]);
    postedBy(books, { ...aDebit('10'), actor: { kind: 'USER', id: KEY } });
  });

  it('of 0 stops all that costs something', () => {
    const books = wallet([limit('USER', 'kim', 'DAY', '0')]);
    expect(refusedBy(books, aDebit('0.000001', forUser('kim'))).code).toBe('SPEND_LIMIT_REACHED');
    postedBy(books, aDebitOf([usageOf('read', '1')], forUser('kim')));
    heldBy(books, anAuthorization('0', { usage: [usageOf('read', '1')], ...forUser('kim') }));
    postedBy(books, aDebit('1'));
  });

  it('refuses for good under a key', () => {
    const books = wallet([DAILY]);
    const command = aDebit('11', { key: 'k' });
    refusedBy(books, command);
    books.spendLimits = [];
    expect(refusedBy(books, command)).toMatchObject({ spendLimitId: DAILY.id, replayed: true });
    postedBy(books, aDebit('11', { key: 'new' }));
  });

  it('that is met mid-batch lets the events of others go on, and stops a call that goes until it is blocked', () => {
    const event = (userId: string) => aDebit('4', forUser(userId));
    const statuses = (mode: 'EACH' | 'UNTIL_BLOCKED' | 'ALL_OR_NOTHING') => {
      const books = wallet([KIM]);
      const events = [event('kim'), event('kim'), event('kim'), event('lee')];
      const outcomes = eventsOf(books.post(someEvents(mode, events)));
      return [
        ...outcomes.map((outcome) => (outcome.status === 'refused' ? outcome.refusal.code : outcome.status)),
        usedOf(books, KIM),
      ];
    };
    expect(statuses('EACH')).toEqual(['posted', 'posted', 'SPEND_LIMIT_REACHED', 'posted', credits('8')]);
    expect(statuses('UNTIL_BLOCKED')).toEqual([
      'posted',
      'posted',
      'SPEND_LIMIT_REACHED',
      'NOT_ATTEMPTED',
      credits('8'),
    ]);
    expect(statuses('ALL_OR_NOTHING')).toEqual([
      'NOT_ATTEMPTED',
      'NOT_ATTEMPTED',
      'SPEND_LIMIT_REACHED',
      'NOT_ATTEMPTED',
      0n,
    ]);
  });
});

describe('several limits', () => {
  const spender = { attribution: { userId: 'kim', projectId: 'p' } };
  const ALL = [
    limit('ORGANIZATION', null, 'HOUR', '10'),
    limit('ORGANIZATION', null, 'DAY', '10'),
    limit('ORGANIZATION', null, 'MONTH', '10'),
    limit('PROJECT', 'p', 'DAY', '10'),
    limit('PROJECT', 'p', 'MONTH', '10'),
    limit('USER', 'kim', 'DAY', '10'),
    limit('API_KEY', KEY, 'HOUR', '10'),
    limit('API_KEY', KEY, 'MONTH', '10'),
  ];

  it('refuse in the order cap, organization, project, member, key, the shorter window first', () => {
    const order: string[] = [];
    const left = [...ALL.toReversed()];
    for (;;) {
      const books = wallet(left, { dailyCreditCap: '10' });
      if (order.length > 0) books.planKey = 'a plan that no catalog knows';
      const outcome = books.post(aDebit('11', spender));
      if (outcome.status !== 'refused' || outcome.refusal.code !== 'SPEND_LIMIT_REACHED') break;
      const { limitCode, spendLimitId } = outcome.refusal;
      order.push(limitCode);
      if (spendLimitId !== null) {
        left.splice(
          left.findIndex(({ id }) => id === spendLimitId),
          1,
        );
      }
    }
    expect(order).toEqual([
      'daily_credit_cap_exceeded',
      'organization_hourly_limit_exceeded',
      'organization_daily_limit_exceeded',
      'organization_monthly_limit_exceeded',
      'project_daily_limit_exceeded',
      'project_monthly_limit_exceeded',
      'user_daily_limit_exceeded',
      'api_key_hourly_limit_exceeded',
      'api_key_monthly_limit_exceeded',
    ]);
  });

  it('all count a charge, and stand with it as it found them', () => {
    const books = wallet(ALL);
    postedBy(books, aDebit('3', spender));
    const { transaction } = postedBy(books, aDebit('4', spender));
    expect(transaction.limits).toHaveLength(ALL.length);
    for (const found of transaction.limits) expect(found).toMatchObject({ used: credits('3'), blocked: false });
    for (const set of ALL) expect(usedOf(books, set)).toBe(credits('7'));
  });

  it('count nothing of a charge that one of them refuses', () => {
    const books = wallet([limit('ORGANIZATION', null, 'DAY', '50'), limit('USER', 'kim', 'DAY', '5')]);
    refusedBy(books, aDebit('6', spender));
    expect(books.spendCounts).toEqual([]);
  });
});

describe('the window of a spend limit', () => {
  it.each([
    ['HOUR', 'UTC', '2026-03-10T13:00:00'],
    ['DAY', 'America/New_York', '2026-03-11T04:00:00'],
    ['MONTH', 'UTC', '2026-04-01T00:00:00'],
    ['MONTH', 'Asia/Kolkata', '2026-03-31T18:30:00'],
  ] as const)('%s in %s ends at %s and not a millisecond before', (window, zone, end) => {
    const set = limit('USER', 'kim', window, '10');
    const books = wallet([set]);
    books.zone = zone;
    postedBy(books, aDebit('10', forUser('kim')));
    expect(refusedBy(books.moveTo(after(at(end), -1)), aDebit('1', forUser('kim')))).toMatchObject({
      resetsAt: at(end),
    });
    postedBy(books.moveTo(at(end)), aDebit('10', forUser('kim')));
  });

  it.each([
    ['23', '2026-03-08T05:00:00', '2026-03-09T04:00:00'],
    ['25', '2026-11-01T04:00:00', '2026-11-02T05:00:00'],
  ])('is one in a day of %s hours', (_hours, start, end) => {
    const books = aWallet().at(at(start)).in('America/New_York').under(rules()).withLot('purchased', '100').books();
    books.spendLimits = [DAILY];
    postedBy(books, aDebit('10'));
    expect(refusedBy(books.moveTo(after(at(end), -1)), aDebit('1'))).toMatchObject({ resetsAt: at(end) });
    postedBy(books.moveTo(at(end)), aDebit('1'));
  });

  it('is one for a date whose zone changes while it lasts', () => {
    const books = wallet([DAILY]);
    // From midnight on in Tokyo, where that day has 9 hours behind it.
    books.zone = { timeZone: 'UTC', changes: [{ from: MIDNIGHT, timeZone: 'Asia/Tokyo' }] };
    postedBy(books, aDebit('10'));
    expect(refusedBy(books.moveTo(after(MIDNIGHT, -1)), aDebit('1'))).toMatchObject({ resetsAt: MIDNIGHT });
    postedBy(books.moveTo(MIDNIGHT), aDebit('10'));
    expect(refusedBy(books, aDebit('1'))).toMatchObject({ resetsAt: at('2026-03-11T15:00:00') });
  });

  it('counts a charge when it is posted, whenever the work was done', () => {
    const books = wallet([DAILY]);
    postedBy(books, aDebit('10', { occurredAt: after(NOW, -48 * HOUR) }));
    expect(refusedBy(books, aDebit('1')).code).toBe('SPEND_LIMIT_REACHED');
  });
});

describe('a hold under a spend limit', () => {
  it('reserves room for its member, and gives back what it does not use', () => {
    const books = wallet([KIM]);
    const id = aHold(books, '6', forUser('kim'));
    expect(refusedBy(books, aDebit('5', forUser('kim')))).toMatchObject({ used: credits('6') });
    postedBy(books, aCapture(id, { amount: '1' }));
    expect(usedOf(books, KIM)).toBe(credits('1'));
    heldBy(books, aRelease(aHold(books, '9', forUser('kim'))));
    expect(usedOf(books, KIM)).toBe(credits('1'));
    expectSound(books);
  });

  it('gives room back to the window in which it was made, when it lapses', () => {
    const books = wallet([KIM]);
    aHold(books, '6', { lifeSeconds: 24 * 3_600, ...forUser('kim') });
    postedBy(books, aDebit('4', forUser('kim')));
    books.moveTo(after(MIDNIGHT, HOUR));
    postedBy(books, aDebit('9', forUser('kim')));
    books.moveTo(after(NOW, 25 * HOUR)).post(aSettlement());
    expect(usedOf(books, KIM)).toBe(credits('9'));
  });

  it('counts what is charged beyond it, and is not refused by it; a key’s hold counts for that key', () => {
    const key = limit('API_KEY', KEY, 'DAY', '10');
    const books = wallet([key, limit('API_KEY', 'another', 'DAY', '0')], { overdraft: '100' });
    const id = aHold(books, '8');
    const command = { ...aCapture(id, { amount: '13', overage: 'DEBT' }), actor: { kind: 'API_KEY', id: 'another' } };
    postedBy(books, command as ReturnType<typeof aCapture>);
    expect(usedOf(books, key)).toBe(credits('13'));
    expect(refusedBy(books, aDebit('1'))).toMatchObject({ used: credits('13') });
  });

  it('gives nothing back to a limit that was set after it', () => {
    const books = wallet([]);
    const id = aHold(books, '6');
    books.spendLimits = [DAILY];
    postedBy(books, aDebit('5'));
    heldBy(books, aRelease(id));
    expect(usedOf(books, DAILY)).toBe(credits('5'));
  });
});

describe('a refund', () => {
  it('gives room back to the limits that its charge has met, in part and in whole, and none to the plan’s cap', () => {
    const books = wallet([KIM, DAILY], { dailyCreditCap: '50' });
    const { transaction } = postedBy(books, aDebit('10', forUser('kim')));
    postedBy(books, aRefund(transaction.id, '4'));
    expect([usedOf(books, KIM), usedOf(books, DAILY)]).toEqual([credits('6'), credits('6')]);
    postedBy(books, aRefund(transaction.id));
    expect([usedOf(books, KIM), usedOf(books, DAILY)]).toEqual([0n, 0n]);
    expect(books.spendCounts.find(({ counter }) => counter === 'daily_credit_cap_exceeded')?.used).toBe(credits('10'));
    postedBy(books, aDebit('10', forUser('kim')));
  });

  it('gives nothing back where the window of the charge is over', () => {
    const month = limit('USER', 'kim', 'MONTH', '100');
    const books = wallet([KIM, month]);
    const { transaction } = postedBy(books, aDebit('10', forUser('kim')));
    books.moveTo(MIDNIGHT);
    postedBy(books, aDebit('3', forUser('kim')));
    postedBy(books, aRefund(transaction.id));
    expect([usedOf(books, KIM), usedOf(books, month)]).toEqual([credits('3'), credits('3')]);
  });

  it('of a capture gives back to the window of its hold', () => {
    const books = wallet([DAILY]);
    const id = aHold(books, '8', { lifeSeconds: 86_400 });
    books.moveTo(after(MIDNIGHT, HOUR));
    postedBy(books, aDebit('5'));
    const { transaction } = postedBy(books, aCapture(id, { amount: '8' }));
    postedBy(books, aRefund(transaction.id));
    expect(usedOf(books, DAILY)).toBe(credits('5'));
  });

  it('gives nothing to the limits of others, nor to those of who asks for it', () => {
    const lee = limit('USER', 'lee', 'DAY', '10');
    const key = limit('API_KEY', 'another', 'DAY', '10');
    const books = wallet([KIM, lee, key]);
    postedBy(books, aDebit('3', forUser('lee')));
    postedBy(books, { ...aDebit('2'), actor: { kind: 'API_KEY', id: 'another' } });
    const { transaction } = postedBy(books, aDebit('5', forUser('kim')));
    postedBy(books, { ...aRefund(transaction.id), actor: { kind: 'API_KEY', id: 'another' } });
    expect([usedOf(books, KIM), usedOf(books, lee), usedOf(books, key)]).toEqual([0n, credits('3'), credits('2')]);
  });
});

describe('charges, holds and refunds of several members and projects in any order', () => {
  it('within one day stand in the counters, no more and no less', () => {
    const step = fc.record({
      kind: fc.constantFrom('debit', 'hold', 'capture', 'release', 'refund', 'lapse'),
      amount: fc.integer({ min: 1, max: 12 }),
      userId: fc.constantFrom('kim', 'lee', null),
      projectId: fc.constantFrom('p', 'q', null),
      which: fc.nat(),
    });
    const LIMITS = [
      limit('ORGANIZATION', null, 'DAY', '40'),
      limit('PROJECT', 'p', 'DAY', '25'),
      limit('USER', 'kim', 'MONTH', '20'),
      limit('USER', 'lee', 'DAY', '20'),
    ];
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (run) => {
        const books = wallet(LIMITS);
        const [holds, charges]: [string[], string[]] = [[], []];
        const pick = (ids: readonly string[], which: number) => ids[which % Math.max(ids.length, 1)] ?? 'none';
        for (const { kind, amount, userId, projectId, which } of run) {
          const attribution = { userId, projectId };
          const make = () => {
            if (kind === 'debit') return books.post(aDebit(String(amount), { attribution }));
            if (kind === 'hold') return books.post(anAuthorization(String(amount), { lifeSeconds: 60, attribution }));
            if (kind === 'capture') return books.post(aCapture(pick(holds, which), { amount: String(amount) }));
            if (kind === 'release') return books.post(aRelease(pick(holds, which)));
            if (kind === 'refund') return books.post(aRefund(pick(charges, which), String(amount)));
            return books.moveTo(after(books.now, 61_000)).post(aSettlement());
          };
          const outcome = make();
          if (outcome.status === 'held' && kind === 'hold') holds.push(outcome.hold.facts.id);
          if (outcome.status === 'posted' && kind !== 'refund') charges.push(outcome.transaction.id);
          for (const set of LIMITS) {
            expect(usedOf(books, set)).toBe(spentUnder(books, set));
            expect(usedOf(books, set)).toBeLessThanOrEqual(set.credits);
          }
          expectSound(books);
        }
      }),
      { numRuns: 100 },
    );
  });
});

/** Charged, less what was given back, and still held: all of it of one day. */
function spentUnder(books: Books, { scope, targetId }: SpendLimit): bigint {
  const fits = ({ userId, projectId }: { userId: string | null; projectId: string | null }) =>
    scope === 'ORGANIZATION' || (scope === 'USER' ? userId : projectId) === targetId;
  const moved = books.transactions.filter(
    ({ kind, attribution }) => ['DEBIT', 'CAPTURE', 'REFUND'].includes(kind) && fits(attribution),
  );
  const open = [...books.holds.values()].filter(({ facts }) => fits(facts.attribution));
  return (
    moved.reduce((sum, { amount }) => sum - amount, 0n) + open.reduce((sum, { state }) => sum + state.remaining, 0n)
  );
}
