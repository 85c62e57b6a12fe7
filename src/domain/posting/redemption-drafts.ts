/** Redemptions of promo codes within a batch: how many there were before it, and those that it makes. */
import type { Instant } from '../time/instant.ts';

/** Read under the lock of the code. */
export interface RedemptionCount {
  readonly code: string;
  /** By all organizations. */
  readonly total: number;
  /** By each organization of the batch that has redeemed it. */
  readonly byOrganization: ReadonlyMap<string, number>;
}

export interface Redemption {
  readonly code: string;
  readonly organizationId: string;
  readonly transactionId: string;
  readonly redeemedAt: Instant;
}

export class RedemptionDrafts {
  readonly made: Redemption[] = [];
  readonly #counts: ReadonlyMap<string, RedemptionCount>;

  constructor(counts: readonly RedemptionCount[]) {
    this.#counts = new Map(counts.map((count) => [count.code, count]));
  }

  total(code: string): number {
    return this.#loaded(code).total + this.#madeOf(code).length;
  }

  by(organizationId: string, code: string): number {
    const before = this.#loaded(code).byOrganization.get(organizationId) ?? 0;
    return before + this.#madeOf(code).filter((made) => made.organizationId === organizationId).length;
  }

  add(redemption: Redemption): void {
    this.made.push(redemption);
  }

  #madeOf(code: string): readonly Redemption[] {
    return this.made.filter((made) => made.code === code);
  }

  #loaded(code: string): RedemptionCount {
    const count = this.#counts.get(code);
    if (!count) throw new Error('the redemptions of a promo code were not loaded');
    return count;
  }
}
