/** The alerts of a wallet within a batch: as they were loaded, as they are changed, and the events that tell of it. */
import { type Alert, isInForce, type PlanAlerts, thresholdOf, transitionOf, withPlanAlerts } from '../alerts/alert.ts';
import { type Micros, sum } from '../credits/micros.ts';
import type { Instant } from '../time/instant.ts';
import type { AllowanceSnapshot } from '../wallet/bucket.ts';
import type { PostedAlertEvent } from './records.ts';
import type { WalletSnapshot } from './wallet-snapshot.ts';

/** What alerts are asked about. */
export interface Watched {
  readonly available: Micros;
  readonly allowances: readonly AllowanceSnapshot[];
  readonly version: bigint;
}

export class AlertDrafts {
  readonly events: PostedAlertEvent[] = [];
  readonly #walletId: string;
  readonly #loaded: ReadonlyMap<string, Alert>;
  readonly #newId: () => string;
  #all: readonly Alert[];
  #number: bigint;
  /** What the alerts were last brought up to date with: most commands change none of it. */
  #followed: {
    readonly alerts: readonly Alert[];
    readonly planKey: string | undefined;
    readonly criteria: PlanAlerts['criteria'] | undefined;
  } | null = null;

  constructor({ id, alerts, alertNumber }: WalletSnapshot, newId: () => string) {
    this.#walletId = id;
    this.#loaded = new Map(alerts.map((alert) => [alert.id, alert]));
    this.#newId = newId;
    this.#all = alerts;
    this.#number = alertNumber;
  }

  get inForce(): readonly Alert[] {
    return this.#all.filter(isInForce);
  }

  /** Those that were loaded or made, the removed ones included. */
  get all(): readonly Alert[] {
    return this.#all;
  }

  /** Number of the newest event. */
  get number(): bigint {
    return this.#number;
  }

  get created(): readonly Alert[] {
    return this.#all.filter(({ id }) => !this.#loaded.has(id));
  }

  get changed(): readonly Alert[] {
    return this.#all.filter((alert) => {
      const loaded = this.#loaded.get(alert.id);
      return loaded !== undefined && loaded !== alert;
    });
  }

  get hasChanged(): boolean {
    return this.#all.some((alert) => this.#loaded.get(alert.id) !== alert);
  }

  add(alert: Alert): void {
    this.#all = [...this.#all, alert];
  }

  replace(next: Alert): void {
    this.#all = this.#all.map((alert) => (alert.id === next.id ? next : alert));
  }

  /** Brings the defaults of the plan up to date. */
  follow(plan: PlanAlerts | null, at: Instant): void {
    const isFollowed =
      this.#followed?.alerts === this.#all &&
      this.#followed.planKey === plan?.planKey &&
      this.#followed.criteria === plan?.criteria;
    if (isFollowed) return;
    this.#all = withPlanAlerts(this.#all, plan, at, this.#newId);
    this.#followed = { alerts: this.#all, planKey: plan?.planKey, criteria: plan?.criteria };
  }

  /** Triggers and resolves. Costs nothing where there are no alerts. */
  ask(watched: Watched, at: Instant): void {
    if (this.#all.length === 0) return;
    const { available, version } = watched;
    const allowance = grantedByAll(watched.allowances);
    for (const alert of this.#all) {
      if (!isInForce(alert)) continue;
      const threshold = thresholdOf(alert.criterion, allowance);
      const transition = transitionOf(alert.state, available, threshold);
      if (transition === null) continue;
      this.#number += 1n;
      this.events.push({
        walletId: this.#walletId,
        number: this.#number,
        alertId: alert.id,
        transition,
        threshold,
        totalAvailable: available,
        version,
        occurredAt: at,
      });
      this.replace(
        transition === 'TRIGGERED'
          ? { ...alert, state: 'TRIGGERED', lastTriggeredAt: at }
          : { ...alert, state: 'ARMED' },
      );
    }
  }
}

/** What all allowances grant, one refresh each. */
const grantedByAll = (allowances: readonly AllowanceSnapshot[]): Micros => sum(allowances.map(({ amount }) => amount));
