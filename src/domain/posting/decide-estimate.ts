/**
 * What usage would cost at this moment, and what would refuse it. It asks what a charge asks, of the same books and rate
 * card, and posts nothing.
 */
import type { Micros } from '../credits/micros.ts';
import type { InvalidInput, UnknownMeter } from '../plain-refusals.ts';
import { type PricedLine, rateCardAt, type UsageQuantity } from '../pricing/price.ts';
import { isRefusal, type Refusal } from '../refusals.ts';
import type { Spender } from '../spender.ts';
import type { SubscriptionPolicies } from '../subscriptions/plan-offer.ts';
import { type Assessment, assess, type ChargingPolicies, priceCharge } from './assess-charge.ts';
import { LotsNotLoaded } from './lot-drafts.ts';
import { postDueTransitions } from './transitions.ts';
import { WalletBook } from './wallet-book.ts';
import type { WalletSnapshot } from './wallet-snapshot.ts';

export interface Estimate {
  readonly credits: Micros;
  readonly lines: readonly PricedLine[];
  /** Why the same usage would be refused; null where it would be charged. */
  readonly blockedBy: Refusal | null;
  readonly available: Micros;
}

/** What it comes to, where the wallet is not known well enough: load more lots, or wait until it has caught up. */
export type Undecided = 'needs-lots' | 'busy';

/** Usage that somebody may be charged for. */
export interface Estimated {
  readonly usage: readonly UsageQuantity[];
  readonly spender: Spender;
}

export function decideEstimate(
  snapshot: WalletSnapshot,
  estimated: Estimated,
  policies: ChargingPolicies & SubscriptionPolicies,
  newId: () => string,
): Estimate | UnknownMeter | InvalidInput | Undecided {
  try {
    return decide(snapshot, estimated, policies, newId);
  } catch (error) {
    if (error instanceof LotsNotLoaded) return 'needs-lots';
    throw error;
  }
}

function decide(
  snapshot: WalletSnapshot,
  { usage, spender }: Estimated,
  policies: ChargingPolicies & SubscriptionPolicies,
  newId: () => string,
): Estimate | UnknownMeter | InvalidInput | Undecided {
  const book = new WalletBook(snapshot, newId);
  if (!snapshot.frozen && !postDueTransitions(book, policies)) return 'busy';
  const priced = priceCharge(book, { kind: 'usage', usage }, rateCardAt(policies.rateCards, book.now), policies);
  if (isRefusal(priced)) return priced;
  const available = book.availableIn(book.fundsOf(spender));
  const { refusal } = assess(book, priced, { spender, overage: 'REJECT' }, policies);
  const blockedBy: Refusal | null = snapshot.frozen ? { code: 'WALLET_FROZEN' } : withoutNewLots(refusal, book);
  return { credits: priced.total, lines: priced.lines, blockedBy, available };
}

/** Lots that are due but not posted have no rows that an explanation could name. */
function withoutNewLots(refusal: Assessment['refusal'], { newLots }: WalletBook): Assessment['refusal'] {
  if (refusal === null || !('explanation' in refusal) || refusal.explanation === null) return refusal;
  const unposted = new Set(newLots.map((lot) => lot.facts.id));
  const lots = refusal.explanation.lots.filter(({ lotId }) => !unposted.has(lotId));
  return { ...refusal, explanation: { ...refusal.explanation, lots } };
}
