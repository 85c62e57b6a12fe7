/** Alerts as the posting engine asks them: one event for a crossing, whoever causes it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AlertCriterion } from '../../../src/domain/alerts/alert.ts';
import { formatCredits } from '../../../src/domain/credits/micros.ts';
import type { Command } from '../../../src/domain/posting/commands.ts';
import { formatInstant } from '../../../src/domain/time/instant.ts';
import { expectSound } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import {
  aDebit,
  aGrant,
  anAlert,
  anAlertRemoval,
  anAuthorization,
  aRelease,
  aSettlement,
} from '../../support/builders-commands.ts';
import { aHold } from '../../support/builders-outcomes.ts';
import { at, credits } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const HUNDRED: AlertCriterion = { threshold: credits('100'), percent: null };

const withCredits = (amount: string) => aWallet().at(NOW).withLot('purchased', amount);

function eventsOf({ alertEvents }: Books) {
  return alertEvents.map(({ transition, threshold, totalAvailable }) => [
    transition,
    formatCredits(threshold),
    formatCredits(totalAvailable),
  ]);
}

const stateOf = ({ alerts }: Books) => [...alerts.values()].map(({ state }) => state);
const idOf = ({ alerts }: Books): string => [...alerts.keys()][0] ?? 'no alert';

/** A wallet with an alert at 100. */
function watched(amount = '100'): Books {
  const books = withCredits(amount).books();
  expect(books.post(anAlert({ threshold: '100' }))).toMatchObject({ status: 'alert-decided', changed: true });
  return books;
}

describe('an alert at 100', () => {
  it('triggers once around its threshold and resolves at 105', () => {
    const books = watched();
    books.post(aDebit('1')); // 99
    books.post(aGrant('2')); // 101
    books.post(aDebit('2')); // 99
    expect(eventsOf(books)).toEqual([['TRIGGERED', '100', '99']]);
    books.post(aGrant('5.999999')); // 104.999999
    expect(stateOf(books)).toEqual(['TRIGGERED']);
    books.post(aGrant('0.000001'));
    expect(eventsOf(books).slice(1)).toEqual([['RESOLVED', '100', '105']]);
    expect(stateOf(books)).toEqual(['ARMED']);
    books.post(aDebit('6'));
    expect(eventsOf(books).slice(2)).toEqual([['TRIGGERED', '100', '99']]);
    expect(books.alertEvents.map(({ number }) => number)).toEqual([1n, 2n, 3n]);
    expectSound(books);
  });

  it('tells each crossing within one batch, with what could be spent and the version then', () => {
    const books = watched();
    const { version } = books;
    books.run(aDebit('1'), aDebit('1'), aGrant('50'), aDebit('60'), aDebit('1'));
    expect(eventsOf(books)).toEqual([
      ['TRIGGERED', '100', '99'],
      ['RESOLVED', '100', '148'],
      ['TRIGGERED', '100', '88'],
    ]);
    expect(books.alertEvents.map((event) => event.version - version)).toEqual([1n, 3n, 4n]);
  });

  it('is asked at once: set below its threshold it triggers, and the same again does nothing', () => {
    const books = watched('99');
    expect(eventsOf(books)).toEqual([['TRIGGERED', '100', '99']]);
    const id = idOf(books);
    expect(books.post(anAlert({ threshold: '100' }))).toEqual({ status: 'alert-decided', alertId: id, changed: false });
    expect(books.alerts.size).toBe(1);
    expect(eventsOf(books)).toHaveLength(1);
    expect(books.audits.map(({ action, after }) => [action, after])).toEqual([
      ['setAlert', { alertId: id, threshold: '100' }],
    ]);
  });

  it('sees holds, which take what can be spent, and their release', () => {
    const books = watched('110');
    const hold = aHold(books, '20');
    expect(eventsOf(books)).toEqual([['TRIGGERED', '100', '90']]);
    books.post(aRelease(hold));
    expect(eventsOf(books).slice(1)).toEqual([['RESOLVED', '100', '110']]);
  });

  it('does not trigger by what was refused', () => {
    const books = watched('100');
    books.post(aDebit('101'));
    books.post(anAuthorization('101'));
    expect(eventsOf(books)).toEqual([]);
  });

  it('says nothing once it is removed', () => {
    const books = watched();
    expect(books.post(anAlertRemoval(idOf(books)))).toMatchObject({ status: 'alert-decided' });
    books.post(aDebit('50'));
    expect(eventsOf(books)).toEqual([]);
    expect(books.post(anAlertRemoval(idOf(books)))).toMatchObject({ refusal: { code: 'NOT_FOUND' } });
    expect(books.audits.map(({ action }) => action)).toEqual(['setAlert', 'removeAlert']);
  });

  it('set again after its removal is another one, which begins anew', () => {
    const books = watched('99');
    books.post(anAlertRemoval(idOf(books)));
    books.post(anAlert({ threshold: '100' }));
    expect(books.alerts.size).toBe(2);
    expect(eventsOf(books)).toEqual([
      ['TRIGGERED', '100', '99'],
      ['TRIGGERED', '100', '99'],
    ]);
  });

  it('may be set on a frozen wallet, which posts nothing', () => {
    const books = withCredits('5').frozen().books();
    books.post(anAlert({ threshold: '100' }));
    expect(eventsOf(books)).toEqual([['TRIGGERED', '100', '5']]);
    expect(books.transactions).toEqual([]);
  });
});

describe('alerts of one wallet', () => {
  it('are told each for itself', () => {
    const books = withCredits('1000').books();
    books.run(anAlert({ threshold: '100' }), anAlert({ threshold: '500' }), anAlert({ threshold: '500.000001' }));
    books.post(aDebit('500'));
    books.post(aDebit('450'));
    expect(eventsOf(books)).toEqual([
      ['TRIGGERED', '500.000001', '500'],
      ['TRIGGERED', '100', '50'],
      ['TRIGGERED', '500', '50'],
    ]);
  });

  it('are at most 20', () => {
    const books = withCredits('1000').books();
    for (let threshold = 1; threshold <= 20; threshold++) books.post(anAlert({ threshold: threshold.toString() }));
    expect(books.post(anAlert({ percent: 5 }))).toMatchObject({
      refusal: { code: 'INVALID_INPUT', path: ['percent'] },
    });
    expect(books.post(anAlert({ threshold: '20' }))).toMatchObject({ status: 'alert-decided', changed: false });
    books.post(anAlertRemoval(idOf(books)));
    expect(books.post(anAlert({ percent: 5 }))).toMatchObject({ status: 'alert-decided', changed: true });
  });

  it('for any debits and grants are those that asking after each one gives', () => {
    const step = fc.record({ spend: fc.boolean(), amount: fc.integer({ min: 1, max: 40 }), together: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 60 }), (steps, threshold) => {
        const books = withCredits('50').books();
        books.post(anAlert({ threshold: threshold.toString() }));
        let [available, triggered] = [50, 50 < threshold];
        const expected = triggered ? ['TRIGGERED 50'] : [];
        const batch: Command[] = [];
        for (const { spend, amount, together } of steps) {
          batch.push(spend ? aDebit(amount.toString()) : aGrant(amount.toString()));
          if (!spend || amount <= available) available += spend ? -amount : amount;
          if (!triggered && available < threshold) {
            triggered = true;
            expected.push(`TRIGGERED ${available}`);
          } else if (triggered && available * 100 >= threshold * 105) {
            triggered = false;
            expected.push(`RESOLVED ${available}`);
          }
          if (!together) books.run(...batch.splice(0));
        }
        books.run(...batch);
        expect(eventsOf(books).map(([transition, , left]) => `${transition} ${left}`)).toEqual(expected);
        expect(books.alertEvents.map(({ number }) => number)).toEqual(expected.map((_, index) => BigInt(index + 1)));
      }),
      { numRuns: 100 },
    );
  });
});

describe('what comes due', () => {
  it('triggers when credits expire, as of when they did', () => {
    const expiresAt = at('2026-03-12T00:00:00');
    const books = withCredits('60').withLot('promotional', '60', { expiresAt }).books();
    books.post(anAlert({ threshold: '100' }));
    expect(eventsOf(books)).toEqual([]);
    books.moveTo(at('2026-03-20T08:00:00')).post(aSettlement());
    expect(eventsOf(books)).toEqual([['TRIGGERED', '100', '60']]);
    expect(books.alertEvents.map(({ occurredAt }) => formatInstant(occurredAt))).toEqual(['2026-03-12T00:00:00.000Z']);
  });

  it('is one change at one instant: what expires and is refreshed at midnight triggers nothing', () => {
    const midnight = at('2026-03-11T00:00:00');
    const books = aWallet()
      .at(NOW)
      .withLot('daily_free', '100', { expiresAt: midnight })
      .withAllowance('daily_free', 'DAY', '100', { nextRefreshAt: midnight })
      .books();
    books.post(anAlert({ threshold: '80' }));
    books.moveTo(at('2026-03-11T09:00:00')).post(aSettlement());
    expect(books.available).toBe(credits('100'));
    expect(eventsOf(books)).toEqual([]);
  });

  it('tells a fall and the rise after it, however late both are posted', () => {
    const books = withCredits('60')
      .withLot('promotional', '60', { expiresAt: at('2026-03-12T00:00:00') })
      .withLot('promotional', '90', { effectiveAt: at('2026-03-14T00:00:00'), inForce: false })
      .books();
    books.post(anAlert({ threshold: '100' }));
    books.moveTo(at('2026-04-01T00:00:00')).post(aSettlement());
    expect(eventsOf(books)).toEqual([
      ['TRIGGERED', '100', '60'],
      ['RESOLVED', '100', '150'],
    ]);
  });

  it('asks nothing while more is due at an instant than one batch posts', () => {
    const midnight = at('2026-03-11T00:00:00');
    const books = aWallet()
      .at(NOW)
      .loaded({ dueLots: 2 })
      .withLot('promotional', '40', { expiresAt: midnight })
      .withLot('promotional', '40', { expiresAt: midnight })
      .withLot('promotional', '40', { expiresAt: midnight })
      .withLot('purchased', '200', { effectiveAt: midnight, inForce: false })
      .books();
    books.post(anAlert({ threshold: '100' }));
    books.moveTo(at('2026-03-11T09:00:00'));
    expect(books.post(aSettlement())).toEqual({ status: 'busy' });
    expect(books.available).toBeLessThan(credits('100'));
    expect(eventsOf(books)).toEqual([]);
    while (books.post(aSettlement()).status === 'busy');
    expect(books.available).toBe(credits('200'));
    expect(eventsOf(books)).toEqual([]);
  });
});

describe('a percentage', () => {
  const monthly = { nextRefreshAt: at('2026-04-01T00:00:00') };

  it('is of all allowances together, one refresh each', () => {
    const books = aWallet()
      .at(NOW)
      .withLot('purchased', '500')
      .withAllowance('daily_free', 'DAY', '100', { nextRefreshAt: at('2026-03-11T00:00:00') })
      .withAllowance('monthly_plan', 'MONTH', '1900', monthly)
      .books();
    books.post(anAlert({ percent: 20 }));
    books.post(aDebit('100'));
    expect(eventsOf(books)).toEqual([]);
    books.post(aDebit('0.000001'));
    expect(eventsOf(books)).toEqual([['TRIGGERED', '400', '399.999999']]);
  });

  it('of nothing never triggers', () => {
    const books = withCredits('10').books();
    books.post(anAlert({ percent: 100 }));
    books.post(aDebit('10'));
    expect(eventsOf(books)).toEqual([]);
  });
});

describe('the defaults of a plan', () => {
  const under = (...planAlerts: AlertCriterion[]) => policies({ planAlerts });

  it('are in force from the next command on, asked by it, and go with the subscription', () => {
    const books = withCredits('150').under(under(HUNDRED)).books();
    books.post(aDebit('60'));
    expect([...books.alerts.values()].map(({ planKey }) => planKey)).toEqual(['plan']);
    expect(eventsOf(books)).toEqual([['TRIGGERED', '100', '90']]);
    books.status = 'CANCELED';
    books.post(aGrant('500'));
    expect([...books.alerts.values()].map(({ removedAt }) => removedAt)).toEqual([NOW]);
    expect(eventsOf(books)).toHaveLength(1);
  });

  it('are none without a subscription', () => {
    const books = withCredits('5').subscribed(null).under(under(HUNDRED)).books();
    books.post(aGrant('1'));
    expect(books.alerts.size).toBe(0);
  });

  it('do not come back once removed', () => {
    const books = withCredits('500').under(under(HUNDRED)).books();
    books.post(aSettlement());
    books.post(anAlertRemoval(idOf(books)));
    books.post(aDebit('450'));
    expect(books.alerts.size).toBe(1);
    expect(eventsOf(books)).toEqual([]);
  });

  it('do not take the place of the organization’s own when that is removed', () => {
    const books = withCredits('500').under(under(HUNDRED)).books();
    books.post(anAlert({ threshold: '100' }));
    expect([...books.alerts.values()].map(({ planKey }) => planKey)).toEqual([null]);
    books.post(anAlertRemoval(idOf(books)));
    books.post(aDebit('450'));
    expect(books.alerts.size).toBe(1);
    // Set again and removed again, what stays away is remembered once.
    books.post(anAlert({ threshold: '100' }));
    books.post(anAlertRemoval([...books.alerts.keys()][1] ?? ''));
    expect([...books.alerts.values()].map(({ dismissed }) => dismissed)).toEqual([true, false]);
  });

  it('become the organization’s own where it sets them', () => {
    const books = withCredits('500').under(under(HUNDRED)).books();
    books.post(aSettlement());
    expect(books.post(anAlert({ threshold: '100' }))).toMatchObject({ alertId: idOf(books), changed: true });
    books.status = 'CANCELED';
    books.post(aGrant('1'));
    expect([...books.alerts.values()].map(({ planKey, removedAt }) => [planKey, removedAt])).toEqual([[null, null]]);
  });
});
