/**
 * Alerts as the posting engine asks them: the plan's defaults first, then which of them trigger or resolve by what can be
 * spent. Asked after everything that came due at one instant and after every command, in the transaction that posts it.
 */
import type { AlertCriterion, PlanAlerts } from '../alerts/alert.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import type { Instant } from '../time/instant.ts';
import type { WalletBook } from './wallet-book.ts';

/** What the catalog says about alerts. */
export interface AlertPolicies {
  /** The defaults of each plan that has some, by key. */
  readonly planAlerts: ReadonlyMap<string, readonly AlertCriterion[]>;
}

const NONE: readonly AlertCriterion[] = [];

export function watchAlerts(book: WalletBook, policies: AlertPolicies, at: Instant): void {
  const { alerts } = book;
  alerts.follow(defaultsOf(book.subscription, policies), at);
  if (alerts.all.length > 0) alerts.ask(book, at);
}

/** The defaults that come with a subscription; null where there is none in force. */
export function defaultsOf(
  subscription: Pick<Subscription, 'planKey' | 'status'> | null,
  { planAlerts }: AlertPolicies,
): PlanAlerts | null {
  if (subscription === null || subscription.status === 'CANCELED') return null;
  const { planKey } = subscription;
  return { planKey, criteria: planAlerts.get(planKey) ?? NONE };
}
