/**
 * The subscription of an organization to a plan. The table says which event leads from which state to which; an event that a
 * state does not have is forbidden in it. A subscription that ends with its period is in a state of its own.
 */
import type { Period } from '../time/calendar.ts';
import type { Instant } from '../time/instant.ts';
import type { SubscriptionStatus } from '../wallet/snapshot.ts';

export interface Subscription {
  readonly id: string;
  readonly planKey: string;
  readonly status: SubscriptionStatus;
  /** Day of the month on which its periods begin, 1 to 31. */
  readonly anchorDay: number;
  /** The billing period; the last one once it is canceled. */
  readonly period: Period;
  /** Null where there was no trial. */
  readonly trialEndsAt: Instant | null;
  readonly cancelAtPeriodEnd: boolean;
  /** The plan that follows at the end of the period; null for the same. */
  readonly scheduledPlanKey: string | null;
}

type Ending = 'TRIALING_ENDING' | 'ACTIVE_ENDING' | 'PAST_DUE_ENDING';
export type SubscriptionState = 'NONE' | SubscriptionStatus | Ending;

export type SubscriptionEvent =
  | 'BEGIN'
  | 'BEGIN_TRIAL'
  | 'CHANGE_PLAN'
  | 'TRIAL_ENDS'
  | 'PERIOD_ENDS'
  | 'CANCEL_NOW'
  | 'CANCEL_AT_PERIOD_END'
  | 'RESUME';

type Table = Readonly<Record<SubscriptionState, Readonly<Partial<Record<SubscriptionEvent, SubscriptionState>>>>>;

const TRANSITIONS: Table = {
  NONE: { BEGIN: 'ACTIVE', BEGIN_TRIAL: 'TRIALING' },
  TRIALING: {
    CHANGE_PLAN: 'TRIALING',
    TRIAL_ENDS: 'ACTIVE',
    PERIOD_ENDS: 'TRIALING',
    CANCEL_NOW: 'CANCELED',
    CANCEL_AT_PERIOD_END: 'TRIALING_ENDING',
  },
  TRIALING_ENDING: {
    TRIAL_ENDS: 'ACTIVE_ENDING',
    PERIOD_ENDS: 'CANCELED',
    CANCEL_NOW: 'CANCELED',
    RESUME: 'TRIALING',
  },
  ACTIVE: {
    CHANGE_PLAN: 'ACTIVE',
    PERIOD_ENDS: 'ACTIVE',
    CANCEL_NOW: 'CANCELED',
    CANCEL_AT_PERIOD_END: 'ACTIVE_ENDING',
  },
  ACTIVE_ENDING: { PERIOD_ENDS: 'CANCELED', CANCEL_NOW: 'CANCELED', RESUME: 'ACTIVE' },
  PAST_DUE: { CANCEL_NOW: 'CANCELED', CANCEL_AT_PERIOD_END: 'PAST_DUE_ENDING' },
  PAST_DUE_ENDING: { PERIOD_ENDS: 'CANCELED', CANCEL_NOW: 'CANCELED', RESUME: 'PAST_DUE' },
  CANCELED: { BEGIN: 'ACTIVE' },
};

/** The state after an event; null where the state forbids it. */
export const stateAfter = (state: SubscriptionState, event: SubscriptionEvent): SubscriptionState | null =>
  TRANSITIONS[state][event] ?? null;

export function stateOf(subscription: Subscription | null): SubscriptionState {
  if (subscription === null) return 'NONE';
  const { status, cancelAtPeriodEnd } = subscription;
  return cancelAtPeriodEnd && status !== 'CANCELED' ? `${status}_ENDING` : status;
}

const STATUS_OF: Readonly<Record<Exclude<SubscriptionState, 'NONE'>, SubscriptionStatus>> = {
  TRIALING: 'TRIALING',
  TRIALING_ENDING: 'TRIALING',
  ACTIVE: 'ACTIVE',
  ACTIVE_ENDING: 'ACTIVE',
  PAST_DUE: 'PAST_DUE',
  PAST_DUE_ENDING: 'PAST_DUE',
  CANCELED: 'CANCELED',
};

/** The subscription after an event; null where its state forbids it. A plan that was to follow does not survive the end. */
export function subscriptionAfter(subscription: Subscription, event: SubscriptionEvent): Subscription | null {
  const state = stateAfter(stateOf(subscription), event);
  if (state === null || state === 'NONE') return null;
  const status = STATUS_OF[state];
  const cancelAtPeriodEnd = state !== status;
  const ends = cancelAtPeriodEnd || status === 'CANCELED';
  return {
    ...subscription,
    status,
    cancelAtPeriodEnd,
    scheduledPlanKey: ends ? null : subscription.scheduledPlanKey,
  };
}

export interface UpcomingEvent {
  readonly at: Instant;
  readonly event: 'TRIAL_ENDS' | 'PERIOD_ENDS';
}

/** What time does to a subscription next; null where nothing. At one instant a trial ends before the period does. */
export function upcomingEvent(subscription: Subscription): UpcomingEvent | null {
  const { status, trialEndsAt, period } = subscription;
  if (status === 'TRIALING' && trialEndsAt !== null && trialEndsAt <= period.end) {
    return { at: trialEndsAt, event: 'TRIAL_ENDS' };
  }
  if (stateAfter(stateOf(subscription), 'PERIOD_ENDS') === null) return null;
  return { at: period.end, event: 'PERIOD_ENDS' };
}
