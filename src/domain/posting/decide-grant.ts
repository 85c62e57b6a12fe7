/** What an operator does by hand: granting credits and adjusting a bucket, with a reason that stays in the ledger. */

import { MAX_GRANTED_BALANCE, type Micros, negate, ZERO } from '../credits/micros.ts';
import type { ReasonCode } from '../ledger/reason-code.ts';
import { type InvalidInput, invalidInput } from '../plain-refusals.ts';
import { addDays } from '../time/calendar.ts';
import type { Instant } from '../time/instant.ts';
import type { AdjustCommand, GrantCommand } from './commands.ts';
import { type DraftBucket, type DraftLot, type NewLot, unallocatedIn } from './lot-drafts.ts';
import { type Outcome, type Posted, posted, refused } from './outcomes.ts';
import { type TransactionDetails, type TransactionKind, transactionDetails } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

/** What the catalog says about a bucket's credits. */
export interface BucketPolicies {
  /** Days after which granted credits expire unless a grant says otherwise; absent for never. */
  readonly defaultExpiryDays: ReadonlyMap<string, number>;
}

/** What of the command only the books and the clock can tell to be invalid. */
export function checkGrant(book: WalletBook, command: GrantCommand | AdjustCommand): InvalidInput | null {
  if (!book.bucketByKey(command.bucketKey)) return invalidInput(['bucketKey'], 'is not a bucket of the catalog');
  if (command.kind === 'grant' && command.expiresAt !== null && command.expiresAt <= book.now) {
    return invalidInput(['expiresAt'], 'must lie in the future of the organization’s clock');
  }
  return checkRoom(book, command.credits, ['credits']);
}

/** Whether a wallet can hold so much more; taking away always fits. */
export function checkRoom(book: WalletBook, credits: Micros, path: readonly string[]): InvalidInput | null {
  return credits > ZERO && book.balance + credits > MAX_GRANTED_BALANCE
    ? invalidInput(path, 'would raise the balance above what a wallet can hold')
    : null;
}

export function decideGrant(book: WalletBook, command: GrantCommand, policies: BucketPolicies): Outcome {
  const bucket = book.requireBucket(command.bucketKey);
  return grantLot(book, byOperator(book, command, 'GRANT', 'GRANT'), {
    bucket,
    source: 'PROMOTION',
    amount: command.credits,
    paid: false,
    effectiveAt: book.now,
    expiresAt: command.expiresAt ?? defaultExpiry(book, bucket, policies),
    purchaseId: null,
    repaysDebt: true,
  });
}

export function decideAdjust(book: WalletBook, command: AdjustCommand, policies: BucketPolicies): Outcome {
  const bucket = book.requireBucket(command.bucketKey);
  if (command.credits > ZERO) {
    return grantLot(book, byOperator(book, command, 'ADJUSTMENT', 'ADJUSTMENT'), {
      bucket,
      source: 'ADJUSTMENT',
      amount: command.credits,
      paid: false,
      effectiveAt: book.now,
      expiresAt: defaultExpiry(book, bucket, policies),
      purchaseId: null,
      repaysDebt: true,
    });
  }
  const required = negate(command.credits);
  const available = unallocatedIn(bucket);
  if (required > available) {
    const { pinned: held } = bucket;
    const insufficient = { code: 'INSUFFICIENT_CREDITS' as const, required, available, held, explanation: null };
    return refused(insufficient, book.available);
  }
  const transaction = book.post(byOperator(book, command, 'ADJUSTMENT', 'ADJUSTMENT'), ({ spendFrom }) =>
    spendFrom(bucket, required, 'ADJUSTMENT'),
  );
  return posted(book, transaction);
}

/** Posts a transaction that makes one lot. */
export function grantLot(book: WalletBook, details: TransactionDetails, lot: NewLot): Posted {
  const granted: DraftLot[] = [];
  const transaction = book.post(details, ({ grant }) => {
    granted.push(grant(lot, details.reasonCode));
  });
  return posted(book, transaction, { lotId: granted[0]?.facts.id ?? null });
}

function byOperator(
  book: WalletBook,
  command: GrantCommand | AdjustCommand,
  kind: TransactionKind,
  reasonCode: ReasonCode,
): TransactionDetails {
  const { idempotencyKey, actor, description } = command;
  return transactionDetails({ kind, reasonCode, idempotencyKey, actor, description, effectiveAt: book.now });
}

/** Expiry by the catalog's default for the bucket, counted in the organization's local days. */
export function defaultExpiry(book: WalletBook, bucket: DraftBucket, policies: BucketPolicies): Instant | null {
  const days = policies.defaultExpiryDays.get(bucket.facts.key);
  return days === undefined ? null : addDays(book.now, days, book.snapshot.timeZone);
}
