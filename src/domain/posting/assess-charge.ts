/**
 * What a charge costs and whether it may be made. Charges, holds and estimates ask the same questions here in the same
 * order, so that an estimate followed by the same usage at the same moment costs the same, credit for credit.
 */

import { formatCredits, type Micros, minus, plus, smaller, ZERO } from '../credits/micros.ts';
import type { ReasonCode } from '../ledger/reason-code.ts';
import type { CappedOffer, FrequencyCap } from '../limits/frequency-cap.ts';
import {
  type CheckedLimit,
  checkLimit,
  DAILY_CREDIT_CAP,
  limitCodeOf,
  type WindowedLimit,
} from '../limits/spend-limit.ts';
import { type InvalidInput, invalidInput, type UnknownMeter } from '../plain-refusals.ts';
import { type CountedUnits, type PricedLine, priceUsage } from '../pricing/price.ts';
import type { RateCard } from '../pricing/rate-card.ts';
import {
  type AllocationExhausted,
  type Explanation,
  type InsufficientCredits,
  isRefusal,
  type PlanLimitReached,
  type SpendLimitReached,
  type SubscriptionRequired,
} from '../refusals.ts';
import type { Spender } from '../spender.ts';
import { maySpend } from '../subscriptions/subscription.ts';
import type { Charge, OveragePolicy } from './commands.ts';
import { findReachedCap } from './frequency.ts';
import { type Funds, firstSpendable } from './funds.ts';
import { spendable } from './lot-drafts.ts';
import type { Movements } from './movements.ts';
import type { WalletBook } from './wallet-book.ts';

/** What a plan says about spending. */
export interface PlanTerms {
  /** The most that may be charged a local day; null for no cap. */
  readonly dailyCreditCap: Micros | null;
  /** How far spending may go into debt where a call allows it. */
  readonly overdraft: Micros;
  /** How many operations of a meter there may be in a window. */
  readonly frequencyCaps: readonly FrequencyCap[];
}

/** What the catalog says about charging. */
export interface ChargingPolicies {
  readonly rateCards: readonly RateCard[];
  /** The most that one command may charge. */
  readonly commandCeiling: Micros;
  /** How old `occurredAt` may be. */
  readonly latenessMilliseconds: number;
  readonly planTerms: ReadonlyMap<string, PlanTerms>;
  /** True where some rate's price depends on what its billing period has charged before. */
  readonly countsUnits: boolean;
  /** True where some plan caps what may be charged in a window. */
  readonly countsSpending: boolean;
  /** True where some plan caps how often something may be done. */
  readonly countsOperations: boolean;
  /** The plans on sale, cheapest first, by what they cap. */
  readonly cappedOffers: readonly CappedOffer[];
}

/** A charge with its price. */
export interface PricedCharge {
  readonly total: Micros;
  readonly lines: readonly PricedLine[];
  /** Units that count towards tiers and free units. */
  readonly counted: readonly CountedUnits[];
  readonly rateCardVersion: number | null;
}

/** Where the credits of a charge come from. */
export interface Sources {
  readonly funds: Funds;
  /** Out of what can be spent. */
  readonly spent: Micros;
  /** Beyond it, as debt. */
  readonly borrowed: Micros;
  /** Not charged at all. */
  readonly waived: Micros;
}

export type ChargeRefusal =
  | SubscriptionRequired
  | PlanLimitReached
  | SpendLimitReached
  | AllocationExhausted
  | InsufficientCredits;

export interface Assessment {
  readonly sources: Sources;
  /** The lines with what was waived of them. */
  readonly lines: readonly PricedLine[];
  readonly limits: readonly CheckedLimit[];
  /** The limits that count it once it is made. */
  readonly counting: readonly WindowedLimit[];
  readonly refusal: ChargeRefusal | null;
}

const NO_TERMS: PlanTerms = { dailyCreditCap: null, overdraft: ZERO, frequencyCaps: [] };

export function termsOf(book: WalletBook, { planTerms }: ChargingPolicies): PlanTerms {
  const { planKey } = book;
  return (planKey === null ? undefined : planTerms.get(planKey)) ?? NO_TERMS;
}

/** The limits on credits that a charge of this spender meets now, in the order in which they refuse. */
export function limitsOf(book: WalletBook, policies: ChargingPolicies, spender: Spender): readonly WindowedLimit[] {
  const { dailyCreditCap } = termsOf(book, policies);
  const limits: WindowedLimit[] = [];
  if (dailyCreditCap !== null) {
    const window = book.windows.of('DAY');
    const code = DAILY_CREDIT_CAP;
    limits.push({ counter: code, limitCode: code, limit: dailyCreditCap, window, spendLimitId: null });
  }
  for (const set of book.spendLimits.of(spender)) {
    const { id, credits: limit } = set;
    const window = book.windows.of(set.window);
    limits.push({ counter: id, limitCode: limitCodeOf(set), limit, window, spendLimitId: id });
  }
  return limits;
}

/** Prices a charge by a rate card; tiers and free units stand where the billing period has brought them. */
export function priceCharge(
  book: WalletBook,
  charge: Charge,
  card: RateCard,
  { commandCeiling }: ChargingPolicies,
): PricedCharge | UnknownMeter | InvalidInput {
  const priced: PricedCharge | UnknownMeter | InvalidInput =
    charge.kind === 'amount'
      ? { total: charge.amount, lines: [], counted: [], rateCardVersion: null }
      : priceUsage(card, charge.usage, (meter, rate) => book.counters.units(meter, rate, book.windows.billing.start));
  if (isRefusal(priced)) return priced;
  if (priced.total > commandCeiling) {
    const ceiling = formatCredits(commandCeiling);
    return invalidInput([charge.kind], `costs more than the ${ceiling} credits that one command may charge`);
  }
  return priced.total < ZERO ? invalidInput([charge.kind], 'must not be negative') : priced;
}

/** Who spends, and what happens where there is not enough. */
export interface Spending {
  readonly spender: Spender;
  readonly overage: OveragePolicy;
}

/** Whether a priced charge may be made out of what can be spent, and from where its credits come. */
export function assess(
  book: WalletBook,
  priced: PricedCharge,
  { spender, overage }: Spending,
  policies: ChargingPolicies,
): Assessment {
  const funds = book.fundsOf(spender);
  const sources = sourcesOf(book, priced.total, { funds, overage }, policies);
  const charged = sources === null ? priced.total : plus(sources.spent, sources.borrowed);
  const limits = limitsOf(book, policies, spender);
  const checked = limits.map((limit) => checkLimit(limit, book.counters.spent(limit), charged));
  const blocking = checked.findIndex((limit) => limit.blocked);
  const explanation = () => explain(book, priced, { funds, limits: checked });
  const refusal = (): Assessment['refusal'] => {
    if (!maySpend(book.subscriptionStatus)) return { code: 'SUBSCRIPTION_REQUIRED', status: book.subscriptionStatus };
    const cap = findReachedCap(book, priced.lines, termsOf(book, policies).frequencyCaps, policies.cappedOffers);
    if (cap) return { ...cap, explanation: explanation() };
    const [limit, found] = [limits[blocking], checked[blocking]];
    if (limit && found) {
      const { limitCode, used } = found;
      const { end: resetsAt } = limit.window;
      const { spendLimitId } = limit;
      const reached = { limitCode, limit: limit.limit, used, resetsAt, spendLimitId };
      return { code: 'SPEND_LIMIT_REACHED', ...reached, explanation: explanation() };
    }
    return sources === null ? shortOf(book, funds, priced.total, explanation()) : null;
  };
  return {
    sources: sources ?? { funds, spent: priced.total, borrowed: ZERO, waived: ZERO },
    lines: waive(priced.lines, sources?.waived ?? ZERO),
    limits: checked,
    counting: limits,
    refusal: refusal(),
  };
}

/** What may be spent, and what happens where it is not enough. */
interface Means {
  readonly funds: Funds;
  readonly overage: OveragePolicy;
}

/** Null where the overage policy does not cover what is missing. Who may spend an earmark only goes into no debt. */
export function sourcesOf(
  book: WalletBook,
  cost: Micros,
  { funds, overage }: Means,
  policies: ChargingPolicies,
): Sources | null {
  const spent = smaller(cost, book.availableIn(funds));
  const missing = minus(cost, spent);
  if (missing === ZERO) return { funds, spent, borrowed: ZERO, waived: ZERO };
  if (overage === 'CAP') return { funds, spent, borrowed: ZERO, waived: missing };
  const mayOwe = overage === 'DEBT' && funds.pool && book.debt + missing <= termsOf(book, policies).overdraft;
  return mayOwe ? { funds, spent, borrowed: missing, waived: ZERO } : null;
}

/** Why a charge cannot be paid for: its spender's earmark is too small, or what they may spend. */
function shortOf(
  book: WalletBook,
  funds: Funds,
  required: Micros,
  explanation: Explanation,
): AllocationExhausted | InsufficientCredits {
  const [exhausted] = funds.own;
  if (!funds.pool && exhausted) {
    return { code: 'ALLOCATION_EXHAUSTED', allocationId: exhausted.id, required, explanation };
  }
  return insufficient(book, funds, required, explanation);
}

export function insufficient(
  book: WalletBook,
  funds: Funds,
  required: Micros,
  explanation: Explanation,
): InsufficientCredits {
  const available = book.availableIn(funds);
  return { code: 'INSUFFICIENT_CREDITS', required, available, held: book.heldIn(funds), explanation };
}

/** Lots that an explanation names; more would not help a reader. */
export const EXPLAINED_LOTS = 20;

interface Found {
  readonly funds: Funds;
  readonly limits: readonly CheckedLimit[];
}

export function explain(
  book: WalletBook,
  { lines, rateCardVersion }: PricedCharge,
  { funds, limits }: Found,
): Explanation {
  const lots = firstSpendable(book.lots, EXPLAINED_LOTS, funds).map((lot) => ({
    lotId: lot.facts.id,
    available: spendable(lot),
  }));
  return { walletId: book.snapshot.id, rateCardVersion, lines, limits, lots };
}

/** Takes what is not charged off the last lines, so that the lines add up to what is. */
export function waive(lines: readonly PricedLine[], amount: Micros): readonly PricedLine[] {
  let rest = amount;
  if (rest === ZERO) return lines;
  return lines
    .toReversed()
    .map((line) => {
      const waived = smaller(rest, line.credits);
      rest = minus(rest, waived);
      return { ...line, credits: minus(line.credits, waived), waived: plus(line.waived, waived) };
    })
    .toReversed();
}

/** Takes the credits of a charge from where they come. */
export function take({ funds, spent, borrowed }: Sources, { spend, borrow }: Movements, reasonCode: ReasonCode): void {
  spend(spent, reasonCode, funds);
  if (borrowed > ZERO) borrow(borrowed, reasonCode);
}
