/**
 * The counters of one wallet within a batch: credits charged or reserved per limit, units charged per rate. Each belongs
 * to its present window; asked about another window it holds nothing.
 */
import { add, type Decimal, ZERO_DECIMAL } from '../credits/decimal.ts';
import { atLeastZero, type Micros, minus, plus, ZERO } from '../credits/micros.ts';
import type { Reservation } from '../holds/hold.ts';
import type { SpendCount, WindowedLimit } from '../limits/spend-limit.ts';
import type { CountedUnits } from '../pricing/price.ts';
import type { Instant } from '../time/instant.ts';
import type { TierCount, WalletSnapshot } from './wallet-snapshot.ts';

export class CounterDrafts {
  readonly #spend: Map<string, SpendCount>;
  readonly #tiers: Map<string, TierCount>;
  readonly #changedSpend = new Set<string>();
  readonly #changedTiers = new Set<string>();

  constructor({ spendCounts, tierCounts }: Pick<WalletSnapshot, 'spendCounts' | 'tierCounts'>) {
    this.#spend = new Map(spendCounts.map((count) => [count.counter, count]));
    this.#tiers = new Map(tierCounts.map((count) => [tierId(count), count]));
  }

  get changedSpend(): readonly SpendCount[] {
    return [...this.#spend.values()].filter((count) => this.#changedSpend.has(count.counter));
  }

  get changedTiers(): readonly TierCount[] {
    return [...this.#tiers.values()].filter((count) => this.#changedTiers.has(tierId(count)));
  }

  /** What has been charged or reserved in the limit's window. */
  spent({ counter, window }: WindowedLimit): Micros {
    return this.#spentSince(counter, window.start);
  }

  /** Takes room in the limit's window. */
  spend({ counter, window }: WindowedLimit, amount: Micros): void {
    const used = plus(this.#spentSince(counter, window.start), amount);
    this.#setSpend({ counter, windowStart: window.start, used });
  }

  /** Gives room back to the window in which it was taken; nothing where a later one has begun or the limit is gone. */
  giveBack({ counter, windowStart }: Reservation, amount: Micros): void {
    const count = this.#spend.get(counter);
    if (count?.windowStart !== windowStart || amount === ZERO) return;
    this.#setSpend({ counter, windowStart, used: atLeastZero(minus(count.used, amount)) });
  }

  /** Units that a rate has charged in the billing period. */
  units(meter: string, rate: string, periodStart: Instant): Decimal {
    const count = this.#tiers.get(tierId({ meter, rate }));
    return count?.periodStart === periodStart ? count.quantity : ZERO_DECIMAL;
  }

  countUnits(units: readonly CountedUnits[], periodStart: Instant): void {
    for (const { meter, rate, quantity } of units) {
      const count = { meter, rate, periodStart, quantity: add(this.units(meter, rate, periodStart), quantity) };
      this.#tiers.set(tierId(count), count);
      this.#changedTiers.add(tierId(count));
    }
  }

  #spentSince(counter: string, windowStart: Instant): Micros {
    const count = this.#spend.get(counter);
    return count?.windowStart === windowStart ? count.used : ZERO;
  }

  #setSpend(count: SpendCount): void {
    this.#spend.set(count.counter, count);
    this.#changedSpend.add(count.counter);
  }
}

const tierId = ({ meter, rate }: Pick<TierCount, 'meter' | 'rate'>): string => `${meter} ${rate}`;
