/**
 * What a purchase becomes by the news of its payment provider. Providers repeat, delay and reorder what they tell, so that
 * each piece of news says all that must have happened before it: what is refunded or disputed has been paid. News that
 * comes late or again then finds its effect there, and the same news ends in the same state in any order.
 */

import type { Micros } from '../credits/micros.ts';
import type { Money } from '../money/money.ts';
import type { Instant } from '../time/instant.ts';
import type { LotSnapshot } from '../wallet/lot.ts';

export type PurchaseStatus = 'PENDING' | 'PAID' | 'FAILED' | 'EXPIRED' | 'REFUNDED' | 'DISPUTED';

/** What a provider reports of a payment. A payment may be disputed more than once; the provider's reference tells which. */
export type PurchaseNews =
  | { readonly kind: 'PAID' | 'EXPIRED' | 'REFUNDED' }
  /** With the provider's reason where it gives one. */
  | { readonly kind: 'FAILED'; readonly declineCode?: string | null }
  | { readonly kind: 'DISPUTE_OPENED' | 'DISPUTE_WON' | 'DISPUTE_LOST'; readonly dispute: string };

export type NewsKind = PurchaseNews['kind'];

/** What happens to a purchase's credits, in this order: they are given, kept from being spent, free again, taken back. */
export type PurchaseEffect = 'FULFIL' | 'FREEZE' | 'RELEASE' | 'REVOKE';

/** What a purchase of a plan pays for. */
export interface PlanSale {
  readonly planKey: string;
  /** A subscription's first period, another plan for the rest of a period, or the period that follows. */
  readonly purpose: 'BEGINNING' | 'CHANGE' | 'RENEWAL';
  /** The plan that a change takes the place of. */
  readonly fromPlanKey: string | null;
  /** The start of the period that is changed in, or the instant at which the renewal came due: it holds for that alone. */
  readonly periodStart: Instant | null;
}

/** Everything that later news depends on. */
export interface PurchaseState {
  readonly status: PurchaseStatus;
  /** Disputes without a verdict. */
  readonly openDisputes: readonly string[];
  /** Disputes with one, so that news of their beginning that comes after their end does not begin them again. */
  readonly closedDisputes: readonly string[];
}

export interface PurchaseLot {
  readonly lot: LotSnapshot;
  /** What of it has left unspent: by its expiry, or as the plan changed or its period ended. */
  readonly expired: Micros;
}

export interface PurchaseSnapshot extends PurchaseState {
  readonly id: string;
  readonly walletId: string;
  readonly createdAt: Instant;
  readonly paidAt: Instant | null;
  /** Since when its money is being given back: its lots are frozen until the provider has said yes or no. */
  readonly refundRequestedAt: Instant | null;
  /** The provider's reason for its last no: to the payment of what is FAILED, to the refund of what was paid. */
  readonly declineCode: string | null;
  /** What the buyer read at the checkout. */
  readonly description: string;
  readonly price: Money;
  readonly credits: Micros;
  readonly bonus: Micros;
  /** The bucket that its lots go to; null for plans, which fill buckets by their allowances. */
  readonly bucketKey: string | null;
  readonly expiresAfterDays: number | null;
  /** Null for what is no plan. */
  readonly plan: PlanSale | null;
  /** When the wallet's newest entry counts; nothing is posted to count before it. */
  readonly lastEffectiveAt: Instant | null;
  /** The lots that it has made. */
  readonly lots: readonly PurchaseLot[];
}

export interface PurchaseTransition {
  readonly to: PurchaseStatus;
  readonly effects: readonly PurchaseEffect[];
}

const go = (to: PurchaseStatus, ...effects: readonly PurchaseEffect[]): PurchaseTransition => ({ to, effects });

/** Money that arrives is never lost: a checkout that was given up or declined may still be paid, at the last moment. */
const UNPAID = {
  PAID: go('PAID', 'FULFIL'),
  REFUNDED: go('REFUNDED', 'FULFIL', 'REVOKE'),
  DISPUTE_OPENED: go('DISPUTED', 'FULFIL', 'FREEZE'),
  DISPUTE_WON: go('PAID', 'FULFIL'),
  DISPUTE_LOST: go('REFUNDED', 'FULFIL', 'REVOKE'),
} as const;

/** Null where the news changes nothing. A refusal of the card says more than the end of a checkout's time. */
export const TRANSITIONS: Readonly<Record<PurchaseStatus, Readonly<Record<NewsKind, PurchaseTransition | null>>>> = {
  PENDING: { ...UNPAID, FAILED: go('FAILED'), EXPIRED: go('EXPIRED') },
  EXPIRED: { ...UNPAID, FAILED: go('FAILED'), EXPIRED: null },
  FAILED: { ...UNPAID, FAILED: null, EXPIRED: null },
  PAID: {
    PAID: null,
    FAILED: null,
    EXPIRED: null,
    REFUNDED: go('REFUNDED', 'REVOKE'),
    DISPUTE_OPENED: go('DISPUTED', 'FREEZE'),
    DISPUTE_WON: null,
    DISPUTE_LOST: go('REFUNDED', 'REVOKE'),
  },
  DISPUTED: {
    PAID: null,
    FAILED: null,
    EXPIRED: null,
    REFUNDED: go('REFUNDED', 'REVOKE'),
    DISPUTE_OPENED: null,
    DISPUTE_WON: go('PAID', 'RELEASE'),
    DISPUTE_LOST: go('REFUNDED', 'REVOKE'),
  },
  // The money is gone, for good: nothing that is told afterwards brings it back.
  REFUNDED: {
    PAID: null,
    FAILED: null,
    EXPIRED: null,
    REFUNDED: null,
    DISPUTE_OPENED: null,
    DISPUTE_WON: null,
    DISPUTE_LOST: null,
  },
};

export interface ResolvedPurchase {
  readonly state: PurchaseState;
  readonly effects: readonly PurchaseEffect[];
  /** False where the state is what it was. */
  readonly changed: boolean;
}

/** What the news makes of a purchase. */
export function resolvePurchase(state: PurchaseState, news: PurchaseNews): ResolvedPurchase {
  if (state.status === 'REFUNDED') return { state, effects: [], changed: false };
  const disputes = remember(state, news);
  const transition = TRANSITIONS[state.status][kindOf(state, disputes, news)];
  const { to: status, effects } = transition ?? go(state.status);
  if (status === 'REFUNDED') return { state: { status, openDisputes: [], closedDisputes: [] }, effects, changed: true };
  const isRemembered =
    disputes.openDisputes.length !== state.openDisputes.length ||
    disputes.closedDisputes.length !== state.closedDisputes.length;
  return { state: { status, ...disputes }, effects, changed: transition !== null || isRemembered };
}

/** What is kept of the provider's reasons as the status changes: of a payment until it is paid, of a refund until it is given. */
export function declineCodeAfter(
  { status: before, declineCode }: Pick<PurchaseSnapshot, 'status' | 'declineCode'>,
  status: PurchaseStatus,
  news: PurchaseNews,
): string | null {
  if (status === 'FAILED') return news.kind === 'FAILED' ? (news.declineCode ?? null) : null;
  const wasPaid = before === 'PAID' || before === 'DISPUTED';
  return wasPaid && status !== 'REFUNDED' ? declineCode : null;
}

type Disputes = Omit<PurchaseState, 'status'>;

function remember({ openDisputes, closedDisputes }: Disputes, news: PurchaseNews): Disputes {
  if (!('dispute' in news)) return { openDisputes, closedDisputes };
  const { dispute } = news;
  const isClosed = closedDisputes.includes(dispute);
  if (news.kind === 'DISPUTE_OPENED') {
    const isKnown = isClosed || openDisputes.includes(dispute);
    return { openDisputes: isKnown ? openDisputes : [...openDisputes, dispute], closedDisputes };
  }
  return {
    openDisputes: openDisputes.filter((open) => open !== dispute),
    closedDisputes: isClosed ? closedDisputes : [...closedDisputes, dispute],
  };
}

/** Late news of a dispute that has ended, and a verdict beside which another dispute stays open, tell only of a payment. */
function kindOf(before: Disputes, after: Disputes, news: PurchaseNews): NewsKind {
  if (!('dispute' in news)) return news.kind;
  const isOver = news.kind === 'DISPUTE_OPENED' && before.closedDisputes.includes(news.dispute);
  const isOneOfMore = news.kind === 'DISPUTE_WON' && after.openDisputes.length > 0;
  return isOver || isOneOfMore ? 'PAID' : news.kind;
}
