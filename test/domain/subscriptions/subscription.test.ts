import { describe, expect, it } from 'vitest';
import {
  maySpend,
  type PaymentDue,
  type Subscription,
  type SubscriptionEvent,
  type SubscriptionState,
  type SubscriptionStatus,
  stateAfter,
  stateOf,
  subscriptionAfter,
  upcomingEvent,
} from '../../../src/domain/subscriptions/subscription.ts';
import { at } from '../../support/builders-values.ts';

const EVENTS: readonly SubscriptionEvent[] = [
  'BEGIN',
  'BEGIN_TRIAL',
  'CHANGE_PLAN',
  'TRIAL_ENDS',
  'PERIOD_ENDS',
  'PAYMENT_DUE',
  'PAID',
  'PAYMENT_FAILS',
  'GRACE_ENDS',
  'CANCEL_NOW',
  'CANCEL_AT_PERIOD_END',
  'RESUME',
];

/** Written out by hand, in the order of the events; "-" is forbidden. */
// biome-ignore format: one line a state
const MATRIX: Readonly<Record<SubscriptionState, readonly string[]>> = {
  NONE: ['ACTIVE', 'TRIALING', '-', '-', '-', '-', '-', '-', '-', '-', '-', '-'],
  TRIALING: ['ACTIVE', '-', 'TRIALING', 'ACTIVE', 'TRIALING', 'TRIALING_DUE', '-', '-', '-', 'CANCELED', 'TRIALING_ENDING', '-'],
  TRIALING_ENDING: ['-', '-', '-', 'ACTIVE_ENDING', 'CANCELED', 'CANCELED', '-', '-', '-', 'CANCELED', '-', 'TRIALING'],
  TRIALING_DUE: ['ACTIVE', '-', '-', '-', '-', '-', 'ACTIVE', 'CANCELED', 'CANCELED', 'CANCELED', '-', '-'],
  ACTIVE: ['ACTIVE', '-', 'ACTIVE', '-', 'ACTIVE', 'ACTIVE_DUE', '-', '-', '-', 'CANCELED', 'ACTIVE_ENDING', '-'],
  ACTIVE_ENDING: ['ACTIVE', '-', '-', '-', 'CANCELED', '-', '-', '-', '-', 'CANCELED', '-', 'ACTIVE'],
  ACTIVE_DUE: ['-', '-', '-', '-', '-', '-', 'ACTIVE', 'PAST_DUE', 'CANCELED', 'CANCELED', '-', '-'],
  PAST_DUE: ['-', '-', '-', '-', '-', '-', 'ACTIVE', 'PAST_DUE', 'CANCELED', 'CANCELED', 'PAST_DUE_ENDING', '-'],
  PAST_DUE_ENDING: ['-', '-', '-', '-', 'CANCELED', '-', 'ACTIVE_ENDING', 'PAST_DUE_ENDING', 'CANCELED', 'CANCELED', '-', 'PAST_DUE'],
  CANCELED: ['ACTIVE', '-', '-', '-', '-', '-', '-', '-', '-', '-', '-', '-'],
};
const STATES = Object.keys(MATRIX) as SubscriptionState[];
const CELLS = STATES.flatMap((state) =>
  EVENTS.map((event, index) => [state, event, MATRIX[state][index] ?? 'missing'] as const),
);

const END = at('2026-02-28T00:00:00');
const subscription = (changes: Partial<Subscription> = {}): Subscription => ({
  id: 's',
  planKey: 'free',
  status: 'ACTIVE',
  anchorDay: 31,
  period: { start: at('2026-01-31T00:00:00'), end: END },
  trialEndsAt: null,
  cancelAtPeriodEnd: false,
  scheduledPlanKey: null,
  payment: null,
  price: null,
  paidBy: [],
  ...changes,
});

const GRACE_ENDS = at('2026-03-07T00:00:00');
const DUE: PaymentDue = {
  since: END,
  graceEndsAt: GRACE_ENDS,
  failedAttempts: 0,
  nextAttemptAt: END,
  purchaseId: null,
};

function inState(state: SubscriptionState): Subscription {
  const cancelAtPeriodEnd = state.endsWith('_ENDING');
  const status = state.replace(/_(ENDING|DUE)$/, '').replace(/^PAST$/, 'PAST_DUE') as Subscription['status'];
  const isUnpaid = state.endsWith('_DUE') || status === 'PAST_DUE';
  return subscription({ status, cancelAtPeriodEnd, payment: isUnpaid ? DUE : null });
}

describe('a subscription', () => {
  it.each(CELLS)('that is %s becomes by %s: %s', (state, event, next) => {
    expect(stateAfter(state, event) ?? '-').toBe(next);
  });

  it.each(CELLS.filter(([state]) => state !== 'NONE'))('of state %s is changed by %s to: %s', (state, event, next) => {
    const before = inState(state);
    expect(stateOf(before)).toBe(state);
    const after = subscriptionAfter(before, event, event === 'PAYMENT_DUE' ? DUE : undefined);
    expect(after === null ? '-' : stateOf(after)).toBe(next);
  });

  it('that is none is of state NONE', () => {
    expect(stateOf(null)).toBe('NONE');
  });

  it.each<[SubscriptionEvent, string | null]>([
    ['CANCEL_NOW', null],
    ['CANCEL_AT_PERIOD_END', null],
    ['PERIOD_ENDS', 'team'],
  ])('after %s is followed by the plan: %s', (event, plan) => {
    expect(subscriptionAfter(subscription({ scheduledPlanKey: 'team' }), event)?.scheduledPlanKey).toBe(plan);
  });

  it.each<[string, Partial<Subscription>, object | null]>([
    ['its period ends', {}, { at: END, event: 'PERIOD_ENDS' }],
    ['it ends', { cancelAtPeriodEnd: true }, { at: END, event: 'PERIOD_ENDS' }],
    ['it ends unpaid', { status: 'PAST_DUE', cancelAtPeriodEnd: true }, { at: END, event: 'PERIOD_ENDS' }],
    ['nothing while it is past due for want of anything to charge', { status: 'PAST_DUE' }, null],
    ['the days of grace end', { status: 'PAST_DUE', payment: DUE }, { at: GRACE_ENDS, event: 'GRACE_ENDS' }],
    ['the days of grace end, while a charge is awaited', { payment: DUE }, { at: GRACE_ENDS, event: 'GRACE_ENDS' }],
    ['nothing once it is canceled', { status: 'CANCELED' }, null],
    [
      'its trial ends',
      { status: 'TRIALING', trialEndsAt: at('2026-02-14T09:00:00') },
      { at: at('2026-02-14T09:00:00'), event: 'TRIAL_ENDS' },
    ],
    [
      'its trial ends, at the instant at which its period does',
      { status: 'TRIALING', trialEndsAt: END },
      { at: END, event: 'TRIAL_ENDS' },
    ],
    [
      'its period ends before its trial',
      { status: 'TRIALING', trialEndsAt: at('2026-03-14T09:00:00') },
      { at: END, event: 'PERIOD_ENDS' },
    ],
    [
      'its period ends, its trial being over',
      { trialEndsAt: at('2026-02-14T09:00:00') },
      { at: END, event: 'PERIOD_ENDS' },
    ],
  ])('has ahead of it that %s', (_what, changes, expected) => {
    expect(upcomingEvent(subscription(changes))).toEqual(expected);
  });
});

describe('maySpend', () => {
  it.each<[SubscriptionStatus | null, boolean]>([
    ['TRIALING', true],
    ['ACTIVE', true],
    ['PAST_DUE', false],
    ['CANCELED', false],
    [null, false],
  ])('under %s is %s', (status, expected) => {
    expect(maySpend(status)).toBe(expected);
  });
});
