/**
 * Charging: prices what was used and takes it from the wallet, or refuses. The order of refusals is that of semantics.md
 * (Idempotency and refusals); idempotency and frozen wallets are settled before by `decideBatch`.
 */
import { ZERO_DECIMAL } from '../credits/decimal.ts';
import { formatCredits, type Micros, negate, ZERO } from '../credits/micros.ts';
import { type PricedUsage, priceUsage, rateCardAt, type UnitsCharged } from '../pricing/price.ts';
import type { RateCard } from '../pricing/rate-card.ts';
import { type InvalidInput, invalidInput, isRefusal, type UnknownMeter } from '../refusals.ts';
import { maySpend } from '../wallet/snapshot.ts';
import type { DebitCommand } from './commands.ts';
import { type Outcome, posted, refused } from './outcomes.ts';
import { transactionDetails } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

/** What the catalog says about charging. */
export interface ChargingPolicies {
  readonly rateCards: readonly RateCard[];
  /** The most that one command may charge. */
  readonly commandCeiling: Micros;
  /** How old `occurredAt` may be. */
  readonly latenessMilliseconds: number;
}

/** How far ahead of the organization's clock `occurredAt` may be. */
const MAX_AHEAD_MILLISECONDS = 5 * 60_000;

/** Billing periods are not counted: tiers and free units begin anew with every command. */
const UNITS_CHARGED: UnitsCharged = () => ZERO_DECIMAL;

type Priced = Omit<PricedUsage, 'rateCardVersion'> & { readonly rateCardVersion: number | null };

export function decideDebit(book: WalletBook, command: DebitCommand, policies: ChargingPolicies): Outcome {
  const { available } = book;
  const priced = price(book, command, policies);
  if (isRefusal(priced)) return refused(priced, available);
  if (!maySpend(book.subscriptionStatus)) {
    return refused({ code: 'SUBSCRIPTION_REQUIRED', status: book.subscriptionStatus }, available);
  }
  if (priced.total > available) {
    return refused({ code: 'INSUFFICIENT_CREDITS', required: priced.total, available, held: book.held }, available);
  }
  const transaction = book.post(
    transactionDetails({
      kind: 'DEBIT',
      reasonCode: command.reasonCode,
      idempotencyKey: command.idempotencyKey,
      actor: command.actor,
      attribution: command.attribution,
      lines: priced.lines,
      rateCardVersion: priced.rateCardVersion,
      description: command.description,
      metadata: command.metadata,
      occurredAt: command.occurredAt,
      effectiveAt: book.now,
    }),
    ({ spend }) => spend(priced.total, command.reasonCode),
  );
  if (transaction.amount !== negate(priced.total)) throw new Error('a debit must move exactly what was priced');
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

function price(
  book: WalletBook,
  command: DebitCommand,
  policies: ChargingPolicies,
): Priced | UnknownMeter | InvalidInput {
  const { charge } = command;
  const priced: Priced | UnknownMeter | InvalidInput =
    charge.kind === 'amount'
      ? { total: charge.amount, lines: [], counted: [], rateCardVersion: null }
      : priceUsage(rateCardAt(policies.rateCards, command.occurredAt ?? book.now), charge.usage, UNITS_CHARGED);
  if (isRefusal(priced)) return priced;
  if (priced.total > policies.commandCeiling) {
    const ceiling = formatCredits(policies.commandCeiling);
    return invalidInput([charge.kind], `costs more than the ${ceiling} credits that one command may charge`);
  }
  return priced.total < ZERO ? invalidInput([charge.kind], 'must not be negative') : priced;
}
