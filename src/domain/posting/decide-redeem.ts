/** Redeeming a promo code: a promotional lot, at most as often as the code says. */
import { formatCredits } from '../credits/micros.ts';
import { type Conflict, type InvalidInput, type NotFound, notFound } from '../plain-refusals.ts';
import type { PromoCode } from '../promotions/promo-code.ts';
import { addDays } from '../time/calendar.ts';
import type { RedeemCommand } from './commands.ts';
import { type BucketPolicies, checkRoom, defaultExpiry, grantLot } from './decide-grant.ts';
import { type Outcome, refused } from './outcomes.ts';
import { transactionDetails } from './records.ts';
import type { RedemptionDrafts } from './redemption-drafts.ts';
import type { WalletBook } from './wallet-book.ts';

/** What the catalog says about promotions. */
export interface PromotionPolicies {
  /** By their codes in capitals. */
  readonly promoCodes: ReadonlyMap<string, PromoCode>;
}

/** What of the command only the catalog, the books and the clock can tell to be impossible. */
export function checkPromoCode(
  book: WalletBook,
  { code }: RedeemCommand,
  { promoCodes }: PromotionPolicies,
): NotFound | InvalidInput | null {
  const promotion = promoCodes.get(code);
  if (!promotion || (promotion.startsAt !== null && book.now < promotion.startsAt)) return notFound('promo code');
  return checkRoom(book, promotion.credits, ['code']);
}

export function decideRedeem(
  book: WalletBook,
  command: RedeemCommand,
  redemptions: RedemptionDrafts,
  policies: PromotionPolicies & BucketPolicies,
): Outcome {
  const { code, organizationId } = command;
  const promotion = policies.promoCodes.get(code);
  if (!promotion) throw new Error('a promo code was not checked');
  const conflict = conflictOf(book, promotion, redemptions);
  if (conflict) return refused(conflict, book.available);
  const { bucketKey, credits, expiresAfterDays: days } = promotion;
  const bucket = book.requireBucket(bucketKey);
  const { idempotencyKey, actor } = command;
  const outcome = grantLot(
    book,
    transactionDetails({
      kind: 'GRANT',
      reasonCode: 'PROMOTION',
      idempotencyKey,
      actor,
      description: `Promo code ${code}`,
      effectiveAt: book.now,
    }),
    {
      bucket,
      source: 'PROMOTION',
      amount: credits,
      paid: false,
      effectiveAt: book.now,
      expiresAt:
        days === null ? defaultExpiry(book, bucket, policies) : addDays(book.now, days, book.snapshot.timeZone),
      purchaseId: null,
      repaysDebt: true,
    },
  );
  redemptions.add({ code, organizationId, transactionId: outcome.transaction.id, redeemedAt: book.now });
  return outcome;
}

function conflictOf(book: WalletBook, promotion: PromoCode, redemptions: RedemptionDrafts): Conflict | null {
  const { code, endsAt, maxRedemptions, maxPerOrganization, credits } = promotion;
  const conflict = (currentState: string, reason: string): Conflict => ({ code: 'CONFLICT', currentState, reason });
  if (endsAt !== null && book.now >= endsAt) return conflict('ENDED', 'the promo code has ended');
  if (redemptions.by(book.snapshot.organizationId, code) >= maxPerOrganization) {
    return conflict('REDEEMED', `the organization has had the ${formatCredits(credits)} credits of this promo code`);
  }
  const isUsedUp = maxRedemptions !== null && redemptions.total(code) >= maxRedemptions;
  return isUsedUp ? conflict('USED_UP', 'the promo code has been redeemed as often as it may be') : null;
}
