import { describe, expect, it } from 'vitest';
import { isUpgrade, type PlanOffer } from '../../../src/domain/subscriptions/plan-offer.ts';
import { credits } from '../../support/builders-values.ts';

interface Terms {
  readonly cents?: bigint;
  readonly currency?: string;
  readonly interval?: 'MONTH' | 'YEAR';
  readonly daily?: string;
  readonly monthly?: string;
}

function aPlan({ cents = 0n, currency = 'USD', interval = 'MONTH', daily = '0', monthly = '0' }: Terms): PlanOffer {
  return {
    name: 'Plan',
    price: { amountMinor: cents, currency },
    interval,
    trialDays: 0,
    allowances: [
      { bucketKey: 'daily_free', interval: 'DAY', credits: credits(daily), rolloverLimit: null },
      { bucketKey: 'monthly_plan', interval: 'MONTH', credits: credits(monthly), rolloverLimit: null },
    ],
  };
}

describe('a change of plan is an upgrade', () => {
  it.each<[string, Terms, Terms, boolean]>([
    ['to a higher price', { cents: 900n, monthly: '50' }, { cents: 901n, monthly: '10' }, true],
    ['to a lower price', { cents: 900n }, { cents: 899n, monthly: '10' }, false],
    ['to a price, from none', { monthly: '50' }, { cents: 1n, currency: 'EUR' }, true],
    ['to none, from a price', { cents: 1n }, { currency: 'EUR', monthly: '50' }, false],
    ['at the same price, to more credits', { monthly: '50' }, { monthly: '50.000001' }, true],
    ['at the same price, to fewer credits', { monthly: '50' }, { monthly: '49' }, false],
    ['to the same', { cents: 900n, monthly: '50' }, { cents: 900n, monthly: '50' }, false],
    ['to credits a day that are more in 30 days', { monthly: '300' }, { daily: '10.1' }, true],
    ['to credits a day that are as many in 30 days', { monthly: '300' }, { daily: '10' }, false],
    ['to a year that costs more than twelve months', { cents: 100n }, { cents: 1201n, interval: 'YEAR' }, true],
    ['to a year that costs less than twelve months', { cents: 100n }, { cents: 1199n, interval: 'YEAR' }, false],
    [
      'to more credits at a price that cannot be compared',
      { cents: 9n },
      { cents: 1n, currency: 'EUR', monthly: '1' },
      true,
    ],
  ])('%s', (_what, from, to, expected) => {
    expect(isUpgrade(aPlan(from), aPlan(to))).toBe(expected);
  });
});
