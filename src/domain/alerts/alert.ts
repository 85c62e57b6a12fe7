/**
 * Alerts on what can be spent: when one triggers, when it resolves, and which ones a plan brings along. All
 * in integers, so that a threshold is met exactly or not at all.
 */
import { divideRounded } from '../credits/decimal.ts';
import { type Micros, micros } from '../credits/micros.ts';
import type { Instant } from '../time/instant.ts';

/** ARMED: triggers next. TRIGGERED: has told, and tells nothing but that it is resolved. */
export type AlertState = 'ARMED' | 'TRIGGERED';
export type AlertTransition = 'TRIGGERED' | 'RESOLVED';

/** An amount, more than 0, or a whole percentage of the period's allowances, from 1 to 100. */
export type AlertCriterion =
  | { readonly threshold: Micros; readonly percent: null }
  | { readonly threshold: null; readonly percent: number };

export interface Alert {
  readonly id: string;
  readonly criterion: AlertCriterion;
  /** The plan that it came with; null where the organization has set it. */
  readonly planKey: string | null;
  readonly state: AlertState;
  readonly lastTriggeredAt: Instant | null;
  readonly createdAt: Instant;
  /** Null while it is in force. */
  readonly removedAt: Instant | null;
  /** True where the organization does without this default of its plan. */
  readonly dismissed: boolean;
}

/** The most that an organization may have in force and still set another. */
export const MAX_ALERTS = 20;

/** A percentage of the allowances at most. */
export const MAX_PERCENT = 100;

const RESOLVES_AT_PERCENT = 105n;
const HUNDRED = 100n;

export const isInForce = ({ removedAt }: Pick<Alert, 'removedAt'>): boolean => removedAt === null;

export const isSameCriterion = (one: AlertCriterion, other: AlertCriterion): boolean =>
  one.threshold === other.threshold && one.percent === other.percent;

/** `allowance` is what the wallet's allowances grant at one refresh each. */
export function thresholdOf({ threshold, percent }: AlertCriterion, allowance: Micros): Micros {
  return threshold ?? micros(divideRounded(allowance * BigInt(percent), HUNDRED, 'UP'));
}

/** What happens to an alert when so much can be spent; null where nothing does. */
export function transitionOf(state: AlertState, available: Micros, threshold: Micros): AlertTransition | null {
  if (state === 'ARMED') return available < threshold ? 'TRIGGERED' : null;
  return available * HUNDRED >= threshold * RESOLVES_AT_PERCENT ? 'RESOLVED' : null;
}

/** What a plan brings along. */
export interface PlanAlerts {
  readonly planKey: string;
  readonly criteria: readonly AlertCriterion[];
}

/**
 * The alerts as the plan wants them: its defaults that are missing are added, those of another plan or definition removed.
 * The same list where nothing is to be done. `plan` is null where there is no subscription in force.
 */
export function withPlanAlerts(
  alerts: readonly Alert[],
  plan: PlanAlerts | null,
  now: Instant,
  newId: () => string,
): readonly Alert[] {
  const criteria = plan?.criteria ?? [];
  const isDefault = ({ planKey, criterion }: Alert): boolean =>
    planKey === plan?.planKey && criteria.some((wanted) => isSameCriterion(wanted, criterion));
  const isStale = (alert: Alert): boolean =>
    alert.planKey !== null && (isInForce(alert) || alert.dismissed) && !isDefault(alert);
  const missing = criteria.filter(
    (wanted) =>
      !alerts.some((alert) => {
        const isSettled = alert.dismissed ? isDefault(alert) : isInForce(alert) && !isStale(alert);
        return isSettled && isSameCriterion(wanted, alert.criterion);
      }),
  );
  if (missing.length === 0 && !alerts.some(isStale)) return alerts;
  const kept = alerts.map((alert) => (isStale(alert) ? ended(alert, now) : alert));
  return [...kept, ...missing.map((criterion) => newAlert(newId(), criterion, plan?.planKey ?? null, now))];
}

/** A default that is none any more; one that was dismissed is forgotten, so that it comes back with its plan. */
const ended = (alert: Alert, now: Instant): Alert => ({
  ...alert,
  removedAt: alert.removedAt ?? now,
  dismissed: false,
});

export const newAlert = (id: string, criterion: AlertCriterion, planKey: string | null, createdAt: Instant): Alert => ({
  id,
  criterion,
  planKey,
  createdAt,
  state: 'ARMED',
  lastTriggeredAt: null,
  removedAt: null,
  dismissed: false,
});
