/** What a batch has done to a wallet that is worth telling people one by one, as it happened. Charges are not. */
import type { Actor } from '../actor.ts';
import type { Micros } from '../credits/micros.ts';
import type { HoldFacts } from '../holds/hold.ts';
import type { PurchaseStatus } from '../purchases/purchase.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import type { Instant } from '../time/instant.ts';
import type { DraftPurchase } from './decide-purchase.ts';
import type { PostedTransaction } from './records.ts';

export type Happened =
  | { readonly kind: 'transaction'; readonly transaction: PostedTransaction }
  | { readonly kind: 'hold-made'; readonly facts: HoldFacts }
  /** `rest` is what can be spent again. */
  | {
      readonly kind: 'hold-ended';
      readonly facts: HoldFacts;
      readonly status: 'RELEASED' | 'EXPIRED';
      readonly rest: Micros;
    }
  | { readonly kind: 'subscription'; readonly before: Subscription | null; readonly after: Subscription }
  | { readonly kind: 'purchase'; readonly purchase: DraftPurchase; readonly status: PurchaseStatus }
  | { readonly kind: 'refund-begun' | 'refund-declined'; readonly purchase: DraftPurchase };

export type Happening = Happened & {
  /** Who caused it; the system where time did. */
  readonly actor: Actor;
  readonly at: Instant;
};
