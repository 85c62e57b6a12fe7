/**
 * Refunds of charges: credits go back to the lots they were spent from, last spent first, and never add up to more than
 * was charged. What was paid for stays paid for, what was promotional stays promotional.
 */

import type { Attribution } from '../attribution.ts';
import { type Micros, minus, negate, plus, smaller, ZERO } from '../credits/micros.ts';
import { notFound } from '../plain-refusals.ts';
import type { Spender } from '../spender.ts';
import { addDays } from '../time/calendar.ts';
import { type Instant, instant } from '../time/instant.ts';
import type { LotSnapshot } from '../wallet/lot.ts';
import type { RefundCommand } from './commands.ts';
import { expireLot } from './expire-lot.ts';
import type { DraftLot, NewLot } from './lot-drafts.ts';
import type { Movements } from './movements.ts';
import { type Outcome, posted, refused } from './outcomes.ts';
import { type TransactionKind, transactionDetails } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

/** What happens to a refund whose lot has expired: a new lot that lives for the days of grace, or nothing is left of it. */
export type ExpiredLotRefund = { readonly kind: 'NEW_LOT'; readonly graceDays: number } | { readonly kind: 'FORFEIT' };

export interface RefundPolicies {
  readonly expiredLotRefund: ExpiredLotRefund;
}

/** A transaction that a refund names, with what it took and what has been given back of it. */
export interface RefundableTransaction {
  readonly id: string;
  readonly walletId: string;
  readonly kind: TransactionKind;
  /** Signed: negative for spending. */
  readonly amount: Micros;
  readonly attribution: Attribution;
  /** Who spent it; of a capture, whose hold it was. */
  readonly spender: Spender;
  /** The instant whose windows it counts in; of a capture, that of its hold. */
  readonly chargedAt: Instant;
  readonly refunded: Micros;
  /** What it took, in the order taken. Null for what it borrowed. */
  readonly taken: readonly { readonly amount: Micros; readonly lot: LotSnapshot | null }[];
  /** Lots that had paid back debts of the wallet before the batch, newest first; loaded only for a transaction that borrowed. */
  readonly repaidBy: readonly LotSnapshot[];
}

/** A refundable transaction within a batch. */
export interface DraftRefundable {
  readonly facts: RefundableTransaction;
  refunded: Micros;
}

const REASON_CODE = 'REFUND';

export function decideRefund(
  book: WalletBook,
  command: RefundCommand,
  refundable: DraftRefundable | undefined,
  policies: RefundPolicies,
): Outcome {
  if (!refundable || refundable.facts.walletId !== book.snapshot.id) {
    return refused(notFound('transaction'), book.available);
  }
  const { facts, refunded } = refundable;
  if (facts.kind !== 'DEBIT' && facts.kind !== 'CAPTURE') {
    const reason = 'only debits and captures can be refunded';
    return refused({ code: 'CONFLICT', currentState: facts.kind, reason }, book.available);
  }
  const rest = minus(negate(facts.amount), refunded);
  const amount = command.amount ?? rest;
  if (amount > rest || rest === ZERO) {
    return refused({ code: 'REFUND_EXCEEDS_ORIGINAL', refundable: rest }, book.available);
  }
  const forfeited: DraftLot[] = [];
  const { idempotencyKey, actor, description } = command;
  const transaction = book.post(
    transactionDetails({
      kind: 'REFUND',
      reasonCode: REASON_CODE,
      idempotencyKey,
      actor,
      attribution: facts.attribution,
      description,
      effectiveAt: book.now,
      refundedId: facts.id,
    }),
    (movements) => {
      const giving = { book, movements, policies, forfeited };
      for (const part of lastTaken(facts, refunded, amount)) {
        if (part.lot) {
          const lot = book.lot(part.lot);
          giveBackTo(giving, lot, part.amount);
          book.lots.allocations.giveBack(lot, part.amount);
        } else giveBackBorrowed(giving, facts, part.amount);
      }
    },
  );
  if (transaction.amount !== amount) throw new Error('a refund must move what it gives back');
  refundable.refunded = plus(refunded, amount);
  returnRoom(book, facts, amount);
  for (const lot of forfeited) expireLot(book, lot, book.now);
  return posted(book, transaction);
}

/** Spend limits get room back where their present window is that of the charge; the plan's cap gets none. */
function returnRoom(book: WalletBook, { spender, chargedAt }: RefundableTransaction, amount: Micros): void {
  for (const { id, window } of book.spendLimits.of(spender)) {
    const { start: windowStart } = book.windows.of(window);
    if (chargedAt >= windowStart) book.counters.giveBack({ counter: id, windowStart }, amount);
  }
}

/** The parts of a charge that the next `amount` of refunds gives back: from the last taken on, beyond what was before. */
function lastTaken({ taken }: RefundableTransaction, refunded: Micros, amount: Micros) {
  let skip = refunded;
  let rest = amount;
  return taken.toReversed().flatMap((part) => {
    const skipped = smaller(skip, part.amount);
    const given = smaller(rest, minus(part.amount, skipped));
    skip = minus(skip, skipped);
    rest = minus(rest, given);
    return given === ZERO ? [] : [{ lot: part.lot, amount: given }];
  });
}

interface Giving {
  readonly book: WalletBook;
  readonly movements: Movements;
  readonly policies: RefundPolicies;
  /** Lots that have expired or were revoked, which got credits back only to lose them. */
  readonly forfeited: DraftLot[];
}

function giveBackTo(giving: Giving, lot: DraftLot, amount: Micros): void {
  const { book, movements, policies, forfeited } = giving;
  const { frozen, revoked } = lot;
  const { expiresAt } = lot.facts;
  // What is frozen stays so: its expiry waits for the verdict.
  const isExpired = !frozen && (lot.closed || (expiresAt !== null && expiresAt <= book.now));
  const { expiredLotRefund: policy } = policies;
  if (isExpired && !revoked && policy.kind === 'NEW_LOT') {
    movements.grant(
      refundLot(giving, lot, amount, addDays(book.now, policy.graceDays, book.snapshot.timeZone)),
      REASON_CODE,
    );
    return;
  }
  // A lot never holds more than it was granted: what repaid a debt from it may have come back to it before.
  const fitting = smaller(amount, minus(lot.facts.granted, lot.remaining));
  if (fitting > ZERO) movements.creditLot(lot, fitting, REASON_CODE);
  if (fitting > ZERO && isExpired) forfeited.push(lot);
  const rest = minus(amount, fitting);
  if (rest === ZERO) return;
  const made = movements.grant(
    refundLot(giving, lot, rest, isExpired ? instant(book.now + 1) : expiresAt),
    REASON_CODE,
  );
  made.revoked = revoked;
  if (isExpired) forfeited.push(made);
}

function refundLot({ book }: Giving, { facts }: DraftLot, amount: Micros, expiresAt: Instant | null): NewLot {
  const { bucketId, paid, allocationId } = facts;
  const life = { effectiveAt: book.now, expiresAt };
  const bucket = book.bucketById(bucketId);
  return { bucket, source: 'REFUND', amount, paid, ...life, purchaseId: null, allocationId, repaysDebt: false };
}

/** What was borrowed first reduces what is owed; the rest goes to the lots that have paid it back. */
function giveBackBorrowed(giving: Giving, { repaidBy }: RefundableTransaction, amount: Micros): void {
  const { book, movements } = giving;
  const owed = smaller(amount, book.debt);
  if (owed > ZERO) movements.repay(owed, REASON_CODE);
  let rest = minus(amount, owed);
  const payers = [...new Set([...book.repaying.toReversed(), ...repaidBy.map((facts) => book.lot(facts))])];
  for (const [index, lot] of payers.entries()) {
    if (rest === ZERO) return;
    const isLast = index === payers.length - 1;
    const given = isLast ? rest : smaller(rest, minus(lot.facts.granted, lot.remaining));
    if (given > ZERO) giveBackTo(giving, lot, given);
    rest = minus(rest, given);
  }
  if (rest > ZERO) throw new Error('a debt that is owed no more was paid back by some lot');
}
