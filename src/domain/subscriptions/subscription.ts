/**
 * The subscription of an organization to a plan. The table says which event leads from which state to which; an event that a
 * state does not have is forbidden in it. A subscription that ends with its period is in a state of its own, and so is one
 * whose next period is to be paid.
 */
import type { Money } from '../money/money.ts';
import type { Period } from '../time/calendar.ts';
import type { Instant } from '../time/instant.ts';

export type SubscriptionStatus = 'TRIALING' | 'ACTIVE' | 'PAST_DUE' | 'CANCELED';

/** Statuses under which credits may be spent. */
export function maySpend(status: SubscriptionStatus | null): boolean {
  return status === 'ACTIVE' || status === 'TRIALING';
}

/** The next period of a plan is to be paid before it begins. */
export interface PaymentDue {
  /** The instant at which the period before ended; it tells this payment from all others. */
  readonly since: Instant;
  /** When the subscription ends for want of payment. */
  readonly graceEndsAt: Instant;
  readonly failedAttempts: number;
  /** When it is charged next; null where an answer is awaited, and where no attempt is left. */
  readonly nextAttemptAt: Instant | null;
  /** The purchase by which it is being charged. */
  readonly purchaseId: string | null;
}

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
  /** Null where nothing is to be paid. */
  readonly payment: PaymentDue | null;
  /** What was paid for its period in full, whatever the plan costs by now; null where nothing was. */
  readonly price: Money | null;
  /** The purchases by which it was. */
  readonly paidBy: readonly string[];
}

/** A period that costs nothing. */
export const NOTHING_PAID = { price: null, paidBy: [] } as const satisfies Partial<Subscription>;

type Ending = 'TRIALING_ENDING' | 'ACTIVE_ENDING' | 'PAST_DUE_ENDING';
type Due = 'TRIALING_DUE' | 'ACTIVE_DUE';
export type SubscriptionState = 'NONE' | SubscriptionStatus | Ending | Due;

export type SubscriptionEvent =
  | 'BEGIN'
  | 'BEGIN_TRIAL'
  | 'CHANGE_PLAN'
  | 'TRIAL_ENDS'
  | 'PERIOD_ENDS'
  | 'PAYMENT_DUE'
  | 'PAID'
  | 'PAYMENT_FAILS'
  | 'GRACE_ENDS'
  | 'CANCEL_NOW'
  | 'CANCEL_AT_PERIOD_END'
  | 'RESUME';

type Table = Readonly<Record<SubscriptionState, Readonly<Partial<Record<SubscriptionEvent, SubscriptionState>>>>>;

/** A trial or period of a plan with a price ends in PAYMENT_DUE; TRIAL_ENDS and PERIOD_ENDS are those that cost nothing. */
const TRANSITIONS: Table = {
  NONE: { BEGIN: 'ACTIVE', BEGIN_TRIAL: 'TRIALING' },
  TRIALING: {
    BEGIN: 'ACTIVE',
    CHANGE_PLAN: 'TRIALING',
    TRIAL_ENDS: 'ACTIVE',
    PERIOD_ENDS: 'TRIALING',
    PAYMENT_DUE: 'TRIALING_DUE',
    CANCEL_NOW: 'CANCELED',
    CANCEL_AT_PERIOD_END: 'TRIALING_ENDING',
  },
  TRIALING_ENDING: {
    TRIAL_ENDS: 'ACTIVE_ENDING',
    PERIOD_ENDS: 'CANCELED',
    PAYMENT_DUE: 'CANCELED',
    CANCEL_NOW: 'CANCELED',
    RESUME: 'TRIALING',
  },
  // Nothing was ever paid: there is no grace.
  TRIALING_DUE: {
    BEGIN: 'ACTIVE',
    PAID: 'ACTIVE',
    PAYMENT_FAILS: 'CANCELED',
    GRACE_ENDS: 'CANCELED',
    CANCEL_NOW: 'CANCELED',
  },
  ACTIVE: {
    BEGIN: 'ACTIVE',
    CHANGE_PLAN: 'ACTIVE',
    PERIOD_ENDS: 'ACTIVE',
    PAYMENT_DUE: 'ACTIVE_DUE',
    CANCEL_NOW: 'CANCELED',
    CANCEL_AT_PERIOD_END: 'ACTIVE_ENDING',
  },
  ACTIVE_ENDING: { BEGIN: 'ACTIVE', PERIOD_ENDS: 'CANCELED', CANCEL_NOW: 'CANCELED', RESUME: 'ACTIVE' },
  ACTIVE_DUE: { PAID: 'ACTIVE', PAYMENT_FAILS: 'PAST_DUE', GRACE_ENDS: 'CANCELED', CANCEL_NOW: 'CANCELED' },
  PAST_DUE: {
    PAID: 'ACTIVE',
    PAYMENT_FAILS: 'PAST_DUE',
    GRACE_ENDS: 'CANCELED',
    CANCEL_NOW: 'CANCELED',
    CANCEL_AT_PERIOD_END: 'PAST_DUE_ENDING',
  },
  PAST_DUE_ENDING: {
    PAID: 'ACTIVE_ENDING',
    PAYMENT_FAILS: 'PAST_DUE_ENDING',
    GRACE_ENDS: 'CANCELED',
    PERIOD_ENDS: 'CANCELED',
    CANCEL_NOW: 'CANCELED',
    RESUME: 'PAST_DUE',
  },
  CANCELED: { BEGIN: 'ACTIVE' },
};

/** The state after an event; null where the state forbids it. */
export const stateAfter = (state: SubscriptionState, event: SubscriptionEvent): SubscriptionState | null =>
  TRANSITIONS[state][event] ?? null;

export function stateOf(subscription: Subscription | null): SubscriptionState {
  if (subscription === null) return 'NONE';
  const { status, cancelAtPeriodEnd, payment } = subscription;
  if (status === 'CANCELED') return status;
  if (cancelAtPeriodEnd) return `${status}_ENDING`;
  return payment === null || status === 'PAST_DUE' ? status : `${status}_DUE`;
}

const STATUS_OF: Readonly<Record<Exclude<SubscriptionState, 'NONE'>, SubscriptionStatus>> = {
  TRIALING: 'TRIALING',
  TRIALING_ENDING: 'TRIALING',
  ACTIVE: 'ACTIVE',
  TRIALING_DUE: 'TRIALING',
  ACTIVE_ENDING: 'ACTIVE',
  ACTIVE_DUE: 'ACTIVE',
  PAST_DUE: 'PAST_DUE',
  PAST_DUE_ENDING: 'PAST_DUE',
  CANCELED: 'CANCELED',
};

const ENDING: ReadonlySet<SubscriptionState> = new Set<Ending>(['TRIALING_ENDING', 'ACTIVE_ENDING', 'PAST_DUE_ENDING']);
const UNPAID: ReadonlySet<SubscriptionState> = new Set<SubscriptionState>([
  'TRIALING_DUE',
  'ACTIVE_DUE',
  'PAST_DUE',
  'PAST_DUE_ENDING',
]);

/**
 * The subscription after an event; null where its state forbids it. A plan that was to follow does not survive the end.
 * `payment` is the one that is due then; the same as before without it.
 */
export function subscriptionAfter(
  subscription: Subscription,
  event: SubscriptionEvent,
  payment: PaymentDue | null = subscription.payment,
): Subscription | null {
  const state = stateAfter(stateOf(subscription), event);
  if (state === null || state === 'NONE') return null;
  const status = STATUS_OF[state];
  const cancelAtPeriodEnd = ENDING.has(state);
  const ends = cancelAtPeriodEnd || status === 'CANCELED';
  return {
    ...subscription,
    status,
    cancelAtPeriodEnd,
    scheduledPlanKey: ends ? null : subscription.scheduledPlanKey,
    payment: UNPAID.has(state) ? payment : null,
  };
}

export interface UpcomingEvent {
  readonly at: Instant;
  /** Whether the end of a trial or period is to be paid for, its plan's price tells. */
  readonly event: 'TRIAL_ENDS' | 'PERIOD_ENDS' | 'GRACE_ENDS';
}

/** What time does to a subscription next; null where nothing. At one instant a trial ends before the period does. */
export function upcomingEvent(subscription: Subscription): UpcomingEvent | null {
  const { status, trialEndsAt, period, payment } = subscription;
  if (status === 'CANCELED') return null;
  if (payment !== null) return { at: payment.graceEndsAt, event: 'GRACE_ENDS' };
  if (status === 'TRIALING' && trialEndsAt !== null && trialEndsAt <= period.end) {
    return { at: trialEndsAt, event: 'TRIAL_ENDS' };
  }
  if (stateAfter(stateOf(subscription), 'PERIOD_ENDS') === null) return null;
  return { at: period.end, event: 'PERIOD_ENDS' };
}
