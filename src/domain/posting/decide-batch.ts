/**
 * The decision over one batch: every command in order, each against the state that the earlier ones left. Pure: the same
 * input gives the same decision, so that the engine may decide again with more lots loaded.
 */

import { formatCredits } from '../credits/micros.ts';
import { isSticky } from '../refusals.ts';
import type { WalletSnapshot } from '../wallet/snapshot.ts';
import { type AdjustCommand, type Command, type GrantCommand, isKeyed, type KeyedCommand } from './commands.ts';
import { type ChargingPolicies, checkOccurredAt, decideDebit } from './decide-charge.ts';
import { type BucketPolicies, checkGrant, decideAdjust, decideGrant } from './decide-grant.ts';
import { type DraftPurchase, decideResolvePurchase } from './decide-purchase.ts';
import { answerAgain, type IdempotencyRecord, idempotencyId, recordOf } from './idempotency.ts';
import { type Outcome, type Posted, refused } from './outcomes.ts';
import type { PostedAudit } from './records.ts';
import { postDueTransitions } from './transitions.ts';
import { LotsNotLoaded, WalletBook } from './wallet-book.ts';

export interface Policies extends ChargingPolicies, BucketPolicies {
  /** The version of the catalog that they are of. */
  readonly catalogVersion: number;
}

export interface BatchInput {
  readonly commands: readonly Command[];
  readonly wallets: readonly WalletSnapshot[];
  /** Records found for the commands' keys. */
  readonly records: readonly IdempotencyRecord[];
  readonly purchases: readonly Omit<DraftPurchase, 'status' | 'paidAt'>[];
  readonly policies: Policies;
  /** Gives fresh ids, ascending. */
  readonly newId: () => string;
}

export interface BatchDecision {
  readonly kind: 'decided';
  /** One per command, in their order. */
  readonly outcomes: readonly Outcome[];
  readonly books: readonly WalletBook[];
  readonly newRecords: readonly IdempotencyRecord[];
  readonly changedPurchases: readonly DraftPurchase[];
  readonly audits: readonly PostedAudit[];
}

/** The loaded lots of this bucket do not cover the batch's demand: load more of them and decide again. */
export interface NeedsLots {
  readonly kind: 'needs-lots';
  readonly bucketId: string;
}

interface BatchState {
  readonly books: ReadonlyMap<string, WalletBook>;
  readonly records: Map<string, IdempotencyRecord>;
  readonly newRecords: IdempotencyRecord[];
  readonly audits: PostedAudit[];
  readonly newId: () => string;
  readonly purchases: ReadonlyMap<string, DraftPurchase>;
  readonly busy: ReadonlySet<string>;
  readonly policies: Policies;
}

export function decideBatch(input: BatchInput): BatchDecision | NeedsLots {
  try {
    return decide(input);
  } catch (error) {
    if (error instanceof LotsNotLoaded) return { kind: 'needs-lots', bucketId: error.bucketId };
    throw error;
  }
}

function decide(input: BatchInput): BatchDecision {
  const books = new Map(input.wallets.map((wallet) => [wallet.id, new WalletBook(wallet, input.newId)]));
  const purchases = input.purchases.map(
    (loaded): DraftPurchase => ({
      ...loaded,
      status: loaded.facts.status,
      paidAt: null,
    }),
  );
  const busy = new Set<string>();
  for (const book of books.values()) {
    if (!book.snapshot.frozen && !postDueTransitions(book)) busy.add(book.snapshot.id);
  }
  const state: BatchState = {
    books,
    records: new Map(input.records.map((record) => [idempotencyId(record), record])),
    newRecords: [],
    audits: [],
    newId: input.newId,
    purchases: new Map(purchases.map((purchase) => [purchase.facts.id, purchase])),
    busy,
    policies: input.policies,
  };
  const outcomes = input.commands.map((command) => decideCommand(state, command));
  return {
    kind: 'decided',
    outcomes,
    books: [...books.values()],
    newRecords: state.newRecords,
    audits: state.audits,
    changedPurchases: purchases.filter((purchase) => purchase.status !== purchase.facts.status),
  };
}

function decideCommand(state: BatchState, command: Command): Outcome {
  const book = state.books.get(command.walletId);
  if (!book) throw new Error(`wallet ${command.walletId} was not loaded`);
  if (!isKeyed(command)) return decideUnkeyed(state, book, command);
  const earlier = state.records.get(idempotencyId(command));
  if (earlier) return answerAgain(earlier, command, book);
  if (state.busy.has(command.walletId)) return { status: 'busy' };
  const outcome = decideFirst(state, book, command);
  if (outcome.status === 'posted' || (outcome.status === 'refused' && isSticky(outcome.refusal))) {
    const record = recordOf(command, outcome, book.now);
    state.records.set(idempotencyId(command), record);
    state.newRecords.push(record);
  }
  if (outcome.status === 'posted' && command.kind !== 'debit')
    state.audits.push(auditOf(state, command, outcome, book));
  return outcome;
}

/**
 * A command whose key is new. What is invalid by the clock or the books comes after the replay, unlike what is invalid by
 * itself: an answer that was given stays given when its command has grown too old.
 */
function decideFirst(state: BatchState, book: WalletBook, command: KeyedCommand): Outcome {
  const invalid = command.kind === 'debit' ? checkOccurredAt(book, command, state.policies) : checkGrant(book, command);
  if (invalid) return refused(invalid, book.available);
  if (book.snapshot.frozen) return refused({ code: 'WALLET_FROZEN' }, book.available);
  return decideKeyed(state, book, command);
}

function decideKeyed(state: BatchState, book: WalletBook, command: KeyedCommand): Outcome {
  switch (command.kind) {
    case 'debit':
      return decideDebit(book, command, state.policies);
    case 'grant':
      return decideGrant(book, command, state.policies);
    case 'adjust':
      return decideAdjust(book, command, state.policies);
    default: {
      const never: never = command;
      throw new Error(`unknown command ${JSON.stringify(never)}`);
    }
  }
}

function decideUnkeyed(state: BatchState, book: WalletBook, command: Exclude<Command, KeyedCommand>): Outcome {
  if (state.busy.has(command.walletId)) return { status: 'busy' };
  if (command.kind === 'settle') return { status: 'settled' };
  // Only payment moves credits; a checkout that ended otherwise ends on a frozen wallet too.
  if (book.snapshot.frozen && command.outcome === 'PAID') return refused({ code: 'WALLET_FROZEN' }, book.available);
  return decideResolvePurchase(book, command, state.purchases.get(command.purchaseId));
}

/** Grants and adjustments are audited in the transaction that posts them. */
function auditOf(
  { newId }: BatchState,
  { organizationId, kind, actor, credits, bucketKey, description, requestId }: GrantCommand | AdjustCommand,
  { transaction }: Posted,
  { now: occurredAt }: WalletBook,
): PostedAudit {
  const after = { transactionId: transaction.id, credits: formatCredits(credits), bucketKey, reason: description };
  const action = kind === 'grant' ? 'grantCredits' : 'adjustBalance';
  return { id: newId(), organizationId, action, actor, after, requestId, occurredAt };
}
