/** When an alert triggers and resolves, and which ones a plan brings along. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Alert,
  type AlertCriterion,
  type AlertState,
  newAlert,
  thresholdOf,
  transitionOf,
  withPlanAlerts,
} from '../../../src/domain/alerts/alert.ts';
import { type Micros, micros } from '../../../src/domain/credits/micros.ts';
import { at, credits } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const LATER = at('2026-03-11T12:00:00');
const of = (threshold: string): AlertCriterion => ({ threshold: credits(threshold), percent: null });
const percent = (value: number): AlertCriterion => ({ threshold: null, percent: value });

describe('a threshold', () => {
  it('is the amount, whatever the plan grants', () => {
    expect(thresholdOf(of('100'), credits('7'))).toBe(credits('100'));
  });

  it.each([
    [20, '2000', '400'],
    [100, '3.5', '3.5'],
    [1, '0.0001', '0.000001'],
    [1, '0.000101', '0.000002'],
    [33, '0.000001', '0.000001'],
    [50, '0', '0'],
  ])('of %i %% of %s is %s, rounded up', (value, allowance, threshold) => {
    expect(thresholdOf(percent(value), credits(allowance))).toBe(credits(threshold));
  });

  it('of a percentage is exact for the largest allowances', () => {
    const most = micros(2n ** 62n);
    expect(thresholdOf(percent(100), most)).toBe(most);
  });
});

describe('what can be spent', () => {
  it.each<[AlertState, string, string | null]>([
    ['ARMED', '100.000001', null],
    ['ARMED', '100', null],
    ['ARMED', '99.999999', 'TRIGGERED'],
    ['ARMED', '0', 'TRIGGERED'],
    ['TRIGGERED', '0', null],
    ['TRIGGERED', '99', null],
    ['TRIGGERED', '101', null],
    ['TRIGGERED', '104.999999', null],
    ['TRIGGERED', '105', 'RESOLVED'],
    ['TRIGGERED', '1000', 'RESOLVED'],
  ])('makes an alert at 100 that is %s, at %s, do %s', (state, available, transition) => {
    expect(transitionOf(state, credits(available), credits('100'))).toBe(transition);
  });

  it('is compared with 105 % exactly, also where that has more than six fraction digits', () => {
    expect(transitionOf('TRIGGERED', micros(1n), micros(1n))).toBeNull();
    expect(transitionOf('TRIGGERED', micros(2n), micros(1n))).toBe('RESOLVED');
    expect(transitionOf('TRIGGERED', micros(2n ** 63n - 1n), micros(2n ** 63n - 1n))).toBeNull();
  });

  it('never triggers a threshold of 0', () => {
    expect(transitionOf('ARMED', credits('0'), credits('0'))).toBeNull();
  });

  it('alternates between the two, whatever the balances', () => {
    const balance = fc.bigInt({ min: 0n, max: 300n }).map(micros);
    fc.assert(
      fc.property(fc.array(balance), fc.bigInt({ min: 1n, max: 200n }).map(micros), (balances, threshold) => {
        const told: { readonly transition: string; readonly available: Micros }[] = [];
        let state: AlertState = 'ARMED';
        for (const available of balances) {
          const transition = transitionOf(state, available, threshold);
          if (transition === null) continue;
          told.push({ transition, available });
          state = transition === 'TRIGGERED' ? 'TRIGGERED' : 'ARMED';
        }
        told.forEach(({ transition, available }, index) => {
          expect(transition).toBe(index % 2 === 0 ? 'TRIGGERED' : 'RESOLVED');
          if (transition === 'TRIGGERED') expect(available).toBeLessThan(threshold);
          else expect(available * 20n).toBeGreaterThanOrEqual(threshold * 21n);
        });
        // Nothing was missed: where it ends is what the last balance says, or what it was before between the two.
        const last = balances.at(-1);
        if (last !== undefined && last < threshold) expect(state).toBe('TRIGGERED');
        if (last !== undefined && last * 20n >= threshold * 21n) expect(state).toBe('ARMED');
      }),
    );
  });
});

describe('the defaults of a plan', () => {
  let ids = 0;
  const newId = () => `new-${++ids}`;
  const TEAM = { planKey: 'team', criteria: [percent(20), of('50')] };
  const seen = (alerts: readonly Alert[]) =>
    alerts.map(({ criterion, planKey, removedAt, dismissed }) => [
      criterion.percent ?? criterion.threshold,
      planKey,
      removedAt,
      dismissed,
    ]);

  it('are added where they are missing', () => {
    const alerts = withPlanAlerts([], TEAM, NOW, newId);
    expect(seen(alerts)).toEqual([
      [20, 'team', null, false],
      [credits('50'), 'team', null, false],
    ]);
    expect(alerts.map(({ state, createdAt }) => [state, createdAt])).toEqual([
      ['ARMED', NOW],
      ['ARMED', NOW],
    ]);
    expect(withPlanAlerts(alerts, TEAM, LATER, newId)).toBe(alerts);
  });

  it('are not added beside what the organization has set itself', () => {
    const own = newAlert('own', of('50'), null, NOW);
    expect(seen(withPlanAlerts([own], TEAM, NOW, newId))).toEqual([
      [credits('50'), null, null, false],
      [20, 'team', null, false],
    ]);
  });

  it('go with their plan or with their definition, and what the organization has set stays', () => {
    const own = newAlert('own', of('7'), null, NOW);
    const alerts = withPlanAlerts([own], TEAM, NOW, newId);
    expect(seen(withPlanAlerts(alerts, { planKey: 'team', criteria: [percent(30)] }, LATER, newId))).toEqual([
      [credits('7'), null, null, false],
      [20, 'team', LATER, false],
      [credits('50'), 'team', LATER, false],
      [30, 'team', null, false],
    ]);
    expect(seen(withPlanAlerts(alerts, null, LATER, newId)).map(([, , removedAt]) => removedAt)).toEqual([
      null,
      LATER,
      LATER,
    ]);
  });

  it('of two plans that are alike are two: the alert of the next one begins anew', () => {
    const alerts = withPlanAlerts([], { planKey: 'free', criteria: [percent(20)] }, NOW, newId);
    expect(seen(withPlanAlerts(alerts, { planKey: 'team', criteria: [percent(20)] }, LATER, newId))).toEqual([
      [20, 'free', LATER, false],
      [20, 'team', null, false],
    ]);
  });

  it('stay away once dismissed as long as the plan has them, and come back with the plan', () => {
    const dismissed = { ...newAlert('gone', percent(20), 'team', NOW), removedAt: NOW, dismissed: true };
    const alerts = withPlanAlerts([dismissed], TEAM, LATER, newId);
    expect(seen(alerts)).toEqual([
      [20, 'team', NOW, true],
      [credits('50'), 'team', null, false],
    ]);
    const without = withPlanAlerts(alerts, null, LATER, newId);
    expect(seen(without)[0]).toEqual([20, 'team', NOW, false]);
    expect(seen(withPlanAlerts(without, TEAM, LATER, newId).slice(2))).toEqual([
      [20, 'team', null, false],
      [credits('50'), 'team', null, false],
    ]);
  });

  it('that were dismissed may be set by the organization all the same', () => {
    const dismissed = { ...newAlert('gone', percent(20), 'team', NOW), removedAt: NOW, dismissed: true };
    const alerts = [dismissed, newAlert('own', percent(20), null, NOW), newAlert('other', of('50'), null, NOW)];
    expect(withPlanAlerts(alerts, TEAM, LATER, newId)).toBe(alerts);
  });
});
