/** A purchase that a batch begins: PENDING until the payment provider says what became of it. */
import type { Actor } from '../actor.ts';
import type { Micros } from '../credits/micros.ts';
import type { Money } from '../money/money.ts';
import type { PlanSale } from '../purchases/purchase.ts';
import type { Instant } from '../time/instant.ts';

export type PurchaseKind = 'PACKAGE' | 'TOP_UP' | 'AUTO_TOP_UP' | 'PLAN';

export interface NewPurchase {
  readonly id: string;
  readonly organizationId: string;
  readonly kind: PurchaseKind;
  /** What the buyer reads at the checkout and on the receipt. */
  readonly description: string;
  /** Null for what is no package. */
  readonly packageKey: string | null;
  readonly catalogVersion: number;
  readonly credits: Micros;
  readonly bonusCredits: Micros;
  /** The bucket that its lots go to; null for plans, which fill buckets by their allowances. */
  readonly bucketKey: string | null;
  readonly expiresAfterDays: number | null;
  readonly price: Money;
  /** The payment provider that is asked for the money. */
  readonly provider: string;
  /** True for what is charged while nobody is there; false for what is paid at a checkout. */
  readonly isOffSession: boolean;
  /** Null for what is no plan. */
  readonly plan: PlanSale | null;
  readonly actor: Actor;
  readonly createdAt: Instant;
}
