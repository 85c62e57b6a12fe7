/**
 * Charging for work that has been done: prices what was used and takes it from the wallet, or refuses. Idempotency and
 * frozen wallets are settled before by `decideBatch`.
 */
import { negate, plus } from '../credits/micros.ts';
import { type InvalidInput, invalidInput } from '../plain-refusals.ts';
import { rateCardAt } from '../pricing/price.ts';
import { isRefusal } from '../refusals.ts';
import { spenderOf } from '../spender.ts';
import { assess, type ChargingPolicies, priceCharge, take, termsOf } from './assess-charge.ts';
import type { DebitCommand } from './commands.ts';
import { takeOperations } from './frequency.ts';
import { type Outcome, posted, refused } from './outcomes.ts';
import { transactionDetails } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

/** How far ahead of the organization's clock `occurredAt` may be. */
const MAX_AHEAD_MILLISECONDS = 5 * 60_000;

export function decideDebit(book: WalletBook, command: DebitCommand, policies: ChargingPolicies): Outcome {
  const card = rateCardAt(policies.rateCards, command.occurredAt ?? book.now);
  const priced = priceCharge(book, command.charge, card, policies);
  if (isRefusal(priced)) return refused(priced, book.available);
  const spending = { spender: spenderOf(command), overage: command.overage };
  const { sources, lines, limits, counting, refusal } = assess(book, priced, spending, policies);
  if (refusal) return refused(refusal, book.available);
  const { reasonCode, idempotencyKey, actor, attribution, description, metadata, occurredAt } = command;
  const transaction = book.post(
    transactionDetails({
      kind: 'DEBIT',
      reasonCode,
      idempotencyKey,
      actor,
      attribution,
      lines,
      limits,
      rateCardVersion: priced.rateCardVersion,
      description,
      metadata,
      occurredAt,
      effectiveAt: book.now,
    }),
    (movements) => take(sources, movements, reasonCode),
  );
  const charged = plus(sources.spent, sources.borrowed);
  if (transaction.amount !== negate(charged)) throw new Error('a debit must move exactly what was priced');
  for (const limit of counting) book.counters.spend(limit, charged);
  takeOperations(book, lines, termsOf(book, policies).frequencyCaps);
  book.countUnits(priced.counted);
  return posted(book, transaction);
}

/** What of the command only the clock can tell to be invalid. */
export function checkOccurredAt(
  { now }: WalletBook,
  { occurredAt }: DebitCommand,
  policies: ChargingPolicies,
): InvalidInput | null {
  if (occurredAt === null) return null;
  if (occurredAt > now + MAX_AHEAD_MILLISECONDS) {
    return invalidInput(['occurredAt'], 'is more than 5 minutes ahead of the organization’s clock');
  }
  if (occurredAt < now - policies.latenessMilliseconds) {
    return invalidInput(['occurredAt'], 'is older than the lateness that the catalog allows');
  }
  return null;
}
