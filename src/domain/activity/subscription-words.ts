/** What a change of a subscription is in words. */
import type { Actor } from '../actor.ts';
import type { Subscription } from '../subscriptions/subscription.ts';

export interface SubscriptionChange {
  readonly before: Subscription | null;
  readonly after: Subscription;
  readonly actor: Actor;
}

/** Null for what people need not read about, such as a charge that is begun. `planName` names a plan by its key. */
export function describeSubscription(
  { before, after, actor }: SubscriptionChange,
  planName: (key: string) => string,
): string | null {
  const plan = `the ${planName(after.planKey)} plan`;
  if (before === null || before.status === 'CANCELED') {
    return after.status === 'TRIALING' ? `Began a trial of ${plan}` : `Began ${plan}`;
  }
  const earlier = `the ${planName(before.planKey)} plan`;
  if (after.status === 'CANCELED') return describeEnd(before, earlier, actor);
  if (after.planKey !== before.planKey) return `Changed from ${earlier} to ${plan}`;
  if (after.cancelAtPeriodEnd !== before.cancelAtPeriodEnd) {
    return after.cancelAtPeriodEnd ? `Canceled ${plan} at the end of its period` : `Resumed ${plan}`;
  }
  if (after.scheduledPlanKey !== before.scheduledPlanKey) {
    return after.scheduledPlanKey === null
      ? `Kept ${plan}: no other follows it`
      : `Chose the ${planName(after.scheduledPlanKey)} plan to follow at the end of the period`;
  }
  return describePayment(before, after, plan);
}

function describeEnd({ payment, status }: Subscription, plan: string, { kind }: Actor): string {
  if (kind !== 'SYSTEM') return `Canceled ${plan}`;
  const what = status === 'TRIALING' ? `The trial of ${plan} ended` : `T${plan.slice(1)} ended`;
  return payment === null ? what : `${what}: it was not paid`;
}

function describePayment(before: Subscription, after: Subscription, plan: string): string | null {
  const capitalized = `T${plan.slice(1)}`;
  if (before.payment === null && after.payment !== null) return `${capitalized} is to be paid for its next period`;
  if (after.status === 'PAST_DUE' && before.status !== 'PAST_DUE')
    return `${capitalized} is past due: a payment failed`;
  if ((after.payment?.failedAttempts ?? 0) > (before.payment?.failedAttempts ?? 0)) {
    return `Another payment for ${plan} failed`;
  }
  if (before.status === 'TRIALING' && after.status !== 'TRIALING')
    return `The trial of ${plan} ended and the plan began`;
  return after.period.start === before.period.start ? null : `Renewed ${plan}`;
}
