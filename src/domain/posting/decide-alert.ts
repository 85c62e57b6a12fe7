/**
 * Setting and removing alerts. On a frozen wallet too: nothing is posted by it. What has been set is asked at once, like
 * every alert after every command.
 */
import { type Alert, type AlertCriterion, isInForce, isSameCriterion, MAX_ALERTS, newAlert } from '../alerts/alert.ts';
import type { JsonObject } from '../canonical.ts';
import { formatCredits } from '../credits/micros.ts';
import { invalidInput, notFound } from '../plain-refusals.ts';
import type { RemoveAlertCommand, SetAlertCommand } from './commands.ts';
import { type Outcome, refused } from './outcomes.ts';
import type { WalletBook } from './wallet-book.ts';
import { type AlertPolicies, defaultsOf } from './watch-alerts.ts';

/** The same again is the one that is there; a default of the plan becomes the organization's own. */
export function decideSetAlert(book: WalletBook, { criterion }: SetAlertCommand, newId: () => string): Outcome {
  const { alerts } = book;
  const known = alerts.inForce.find((alert) => isSameCriterion(alert.criterion, criterion));
  if (known) {
    const isDefault = known.planKey !== null;
    if (isDefault) alerts.replace({ ...known, planKey: null });
    return { status: 'alert-decided', alertId: known.id, changed: isDefault };
  }
  if (alerts.inForce.length >= MAX_ALERTS) {
    const path = [criterion.percent === null ? 'threshold' : 'percent'];
    return refused(
      invalidInput(path, `an organization has at most ${MAX_ALERTS} alerts: remove one first`),
      book.available,
    );
  }
  const alert = newAlert(newId(), criterion, null, book.now);
  alerts.add(alert);
  return { status: 'alert-decided', alertId: alert.id, changed: true };
}

/** Where it is a default of the plan, that one stays away as long as the organization has the plan. */
export function decideRemoveAlert(book: WalletBook, { alertId }: RemoveAlertCommand, policies: AlertPolicies): Outcome {
  const { alerts, now } = book;
  const alert = alerts.inForce.find(({ id }) => id === alertId);
  if (!alert) return refused(notFound('alert'), book.available);
  const plan = defaultsOf(book.subscription, policies);
  const isDefault = plan?.criteria.some((criterion) => isSameCriterion(criterion, alert.criterion)) ?? false;
  const isDismissed = alerts.all.some((other) => other.dismissed && isSameCriterion(other.criterion, alert.criterion));
  alerts.replace(
    plan && isDefault && !isDismissed
      ? { ...alert, removedAt: now, planKey: plan.planKey, dismissed: true }
      : { ...alert, removedAt: now },
  );
  return { status: 'alert-decided', alertId, changed: true };
}

/** The alert as the audit trail keeps it; null where there is none in force. */
export function describeAlert(alerts: readonly Alert[], alertId: string): JsonObject | null {
  const alert = alerts.find(({ id }) => id === alertId);
  return alert && isInForce(alert) ? { alertId, ...describeCriterion(alert.criterion) } : null;
}

const describeCriterion = ({ threshold, percent }: AlertCriterion): JsonObject =>
  threshold === null ? { percent } : { threshold: formatCredits(threshold) };
