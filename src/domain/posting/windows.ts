/** The windows of caps, limits and tiers that contain the instant of a batch. */
import type { LimitWindow } from '../limits/plan-limit.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import { anchoredMonthPeriod, calendarWindow, type Period } from '../time/calendar.ts';
import type { Instant } from '../time/instant.ts';
import type { Zone } from '../time/zone.ts';
import type { WalletSnapshot } from './wallet-snapshot.ts';

/** Each is cut only when it is asked for. */
export class Windows {
  readonly #now: Instant;
  readonly #timeZone: Zone;
  readonly #anchorDay: number;
  readonly #calendar = new Map<LimitWindow, Period>();
  #billing: Period | null = null;

  constructor({ now, timeZone }: WalletSnapshot, anchorDay: number) {
    this.#now = now;
    this.#timeZone = timeZone;
    this.#anchorDay = anchorDay;
  }

  /** The local calendar hour, day or month, of caps and limits. */
  of(window: LimitWindow): Period {
    const known = this.#calendar.get(window);
    if (known) return known;
    const period = calendarWindow(window, this.#now, this.#timeZone);
    this.#calendar.set(window, period);
    return period;
  }

  /** The month from anchor day to anchor day, in which tiers and free units count. */
  get billing(): Period {
    this.#billing ??= anchoredMonthPeriod(this.#now, this.#anchorDay, this.#timeZone);
    return this.#billing;
  }
}

/** Billing periods begin on the first day of the month where there is no subscription. */
export const anchorDayOf = (subscription: Subscription | null): number => subscription?.anchorDay ?? 1;
