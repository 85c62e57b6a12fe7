/**
 * A plan takes effect: its allowances take the place of those before. A bucket is filled once in a period: a plan for which
 * nothing is paid leaves what the running period has granted as it is, unless it gives more than the highest amount that
 * period has seen. Then, or where it was paid for, what is unspent is replaced. Credits that were bought, given or rolled
 * over are not touched, nor are those that holds have pinned or a dispute has frozen.
 */
import type { Actor } from '../actor.ts';
import { minus, ZERO } from '../credits/micros.ts';
import type { PlanOffer } from '../subscriptions/plan-offer.ts';
import type { Instant } from '../time/instant.ts';
import type { AllowanceSnapshot } from '../wallet/bucket.ts';
import type { DraftLot } from './lot-drafts.ts';
import { transactionDetails } from './records.ts';
import { grantPeriod, isGranted } from './refresh-allowance.ts';
import type { WalletBook } from './wallet-book.ts';

/** The reason code of unspent plan credits that another plan's replace. */
export const PLAN_CHANGE = 'PLAN_CHANGE';

export interface TakeUp {
  readonly plan: PlanOffer;
  readonly anchorDay: number;
  /** True where buckets that the plan does not fill lose what the plan before granted. */
  readonly isUpgrade: boolean;
  /** What has paid for it; null where it costs nothing. */
  readonly purchaseId: string | null;
  readonly actor: Actor;
}

export function takeUpPlan(book: WalletBook, { plan, anchorDay, isUpgrade, purchaseId, actor }: TakeUp): void {
  const running = runningLots(book);
  const replaced: DraftLot[] = [];
  const due: AllowanceSnapshot[] = [];
  const allowances = plan.allowances.map(({ bucketKey, interval, credits, rolloverLimit }): AllowanceSnapshot => {
    const bucketId = book.requireBucket(bucketKey).facts.id;
    const lots = running.filter(({ facts }) => facts.bucketId === bucketId);
    const [newest] = lots.toSorted((a, b) => b.expiresAt - a.expiresAt || b.facts.effectiveAt - a.facts.effectiveAt);
    const terms = { bucketId, interval, amount: credits, rolloverLimit, anchorDay };
    if (newest && purchaseId === null && lots.some(({ facts }) => facts.granted >= credits)) {
      return { ...terms, lastRefreshedAt: newest.facts.effectiveAt, nextRefreshAt: newest.expiresAt };
    }
    replaced.push(...lots.map(({ lot }) => lot));
    const allowance = { ...terms, lastRefreshedAt: null, nextRefreshAt: book.now };
    due.push(allowance);
    return allowance;
  });
  if (isUpgrade) {
    const filled = new Set(allowances.map((allowance) => allowance.bucketId));
    replaced.push(...running.filter(({ facts }) => !filled.has(facts.bucketId)).map(({ lot }) => lot));
  }
  forfeit(book, replaced, actor);
  book.replaceAllowances(allowances);
  for (const allowance of due) grantPeriod(book, allowance, book.now, purchaseId);
}

interface RunningLot {
  readonly lot: DraftLot;
  readonly facts: DraftLot['facts'];
  readonly expiresAt: Instant;
}

/** The lots that allowances have granted for periods that still run, spent or not. */
function runningLots(book: WalletBook): RunningLot[] {
  const known = new Set([...book.snapshot.grantedLots.map((facts) => book.lot(facts)), ...book.newLots]);
  return [...known].flatMap((lot) => {
    const { expiresAt } = lot.facts;
    return isGranted(lot) && expiresAt !== null && expiresAt > book.now ? [{ lot, facts: lot.facts, expiresAt }] : [];
  });
}

function forfeit(book: WalletBook, lots: readonly DraftLot[], actor: Actor): void {
  const parts = lots
    .map((lot) => ({ lot, amount: lot.frozen ? ZERO : minus(lot.remaining, lot.pinned) }))
    .filter(({ amount }) => amount > ZERO);
  if (parts.length === 0) return;
  const details = transactionDetails({ kind: 'EXPIRY', reasonCode: PLAN_CHANGE, actor, effectiveAt: book.now });
  book.post(details, ({ debitLot }) => {
    for (const { lot, amount } of parts) debitLot(lot, amount, PLAN_CHANGE);
  });
  book.transitionsChanged = true;
}
