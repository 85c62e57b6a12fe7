/**
 * Setting how much is earmarked for a project or member. Unpinned credits move between lots of one bucket by entries that add up
 * to nothing; source, life and purchase stay.
 */
import { creditsOf } from '../allocations/allocation.ts';
import { formatCredits, type Micros, minus, negate, plus, ZERO } from '../credits/micros.ts';
import { type Conflict, type InvalidInput, invalidInput } from '../plain-refusals.ts';
import type { Refusal } from '../refusals.ts';
import type { DraftAllocation } from './allocation-drafts.ts';
import type { ChargingPolicies } from './assess-charge.ts';
import type { SetAllocationCommand } from './commands.ts';
import { type LotPart, partsOf, partsOfPool } from './funds.ts';
import type { DraftLot, LotDrafts, NewLot } from './lot-drafts.ts';
import { type Outcome, refused } from './outcomes.ts';
import { transactionDetails } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

/** The reason code of what is earmarked or given back. */
export const ALLOCATION = 'ALLOCATION';
/** Lots that one command moves credits of. */
const MAX_PARTS = 500;
/** Lots that expire and were split off: fewer than a batch posts of what is due, so that what rolls over is seen as a whole. */
const MAX_EXPIRING_SPLITS = 400;
/** Allocations of a wallet. */
const MAX_ALLOCATIONS = 1_000;

export function decideSetAllocation(
  book: WalletBook,
  command: SetAllocationCommand,
  { commandCeiling }: Pick<ChargingPolicies, 'commandCeiling'>,
  newId: () => string,
): Outcome {
  const { allocations } = book.lots;
  const [present] = allocations.of(command);
  const change = changeOf(present, command.credits);
  if (typeof change !== 'bigint') return refused(change, book.available);
  const refusal = checkCeiling(change, commandCeiling) ?? checkPool(book, change);
  if (refusal) return refused(refusal, book.available);
  const parts = partsToMove(book, present, change);
  if (parts.length > MAX_PARTS) return refused(IN_TOO_MANY_LOTS, book.available);
  const crowded = checkRoom(book, present, parts);
  if (crowded) return refused(crowded, book.available);
  const allocation = present ?? allocations.add(newId(), command, false);
  if (parts.length > 0) move(book, parts, change > ZERO ? allocation.id : null, command);
  if (command.credits === ZERO) allocations.forgetUse(allocation);
  allocations.setExclusive(allocation, command.exclusive ?? allocation.exclusive);
  return { status: 'allocation-set', allocationId: allocation.id };
}

/** By how much the earmark grows; negative for what is given back. */
function changeOf(present: DraftAllocation | undefined, credits: Micros): Micros | Conflict {
  if (!present) return credits;
  const { available, used, pinned, frozen } = present;
  const bound = plus(pinned, frozen);
  if (credits === ZERO && bound === ZERO) return negate(available);
  const least = plus(used, bound);
  if (credits >= least) return minus(credits, creditsOf(present));
  const [spent, held] = [formatCredits(used), formatCredits(bound)];
  const reason = `${spent} credits of it are used and ${held} are held or frozen: it cannot be less, unless nothing is held and all is given back`;
  return { code: 'CONFLICT', currentState: 'IN_USE', reason };
}

/** One command moves no more than one may charge. */
function checkCeiling(change: Micros, ceiling: Micros): InvalidInput | null {
  if (change <= ceiling && change >= -ceiling) return null;
  return invalidInput(['credits'], `would move more than the ${formatCredits(ceiling)} credits that one command may`);
}

function checkPool(book: WalletBook, change: Micros): Refusal | null {
  const { unallocated: available, held } = book;
  if (change <= available) return null;
  return { code: 'INSUFFICIENT_CREDITS', required: change, available, held, explanation: null };
}

function partsToMove(book: WalletBook, present: DraftAllocation | undefined, change: Micros): readonly LotPart[] {
  if (change > ZERO) return partsOfPool(book.lots, change, MAX_PARTS);
  return present ? partsOf(present, negate(change), MAX_PARTS) : [];
}

/** What there is of allocations and their lots, those of the batch included. */
function checkRoom(
  { lots, newLots, snapshot }: WalletBook,
  present: DraftAllocation | undefined,
  parts: readonly LotPart[],
): Conflict | null {
  const { allocations, expiringSplits } = snapshot.allocationStanding;
  if (!present && allocations + lots.allocations.made.length >= MAX_ALLOCATIONS) {
    return tooMany('ALLOCATIONS', `a wallet has at most ${MAX_ALLOCATIONS} allocations`);
  }
  const splits = parts.filter(({ lot }) => lot.facts.expiresAt !== null && originOf(lots, lot) === undefined);
  const made = newLots.filter(({ facts }) => facts.originId !== null && facts.expiresAt !== null);
  return expiringSplits + made.length + splits.length > MAX_EXPIRING_SPLITS
    ? tooMany('LOTS', 'these credits expire and lie in too many parts already: wait until they have expired')
    : null;
}

const tooMany = (what: string, reason: string): Conflict => ({
  code: 'CONFLICT',
  currentState: `TOO_MANY_${what}`,
  reason,
});

/** The granted lot that what is given back goes to; undefined where it has ended. */
function originOf(lots: LotDrafts, { facts: { allocationId, originId } }: DraftLot): DraftLot | undefined {
  if (allocationId === null || originId === null) return undefined;
  const origin = lots.find(originId);
  return origin?.inForce && !origin.frozen ? origin : undefined;
}

const IN_TOO_MANY_LOTS: Conflict = {
  code: 'CONFLICT',
  currentState: 'TOO_MANY_LOTS',
  reason: `these credits lie in more than the ${MAX_PARTS} lots that can be changed at once: change it in smaller steps`,
};

function move(
  book: WalletBook,
  parts: readonly LotPart[],
  allocationId: string | null,
  { actor, projectId, userId }: SetAllocationCommand,
): void {
  const attribution = { projectId, userId, taskId: null, executionId: null };
  const details = transactionDetails({
    kind: 'ALLOCATION',
    reasonCode: ALLOCATION,
    actor,
    attribution,
    effectiveAt: book.now,
  });
  book.post(details, ({ debitLot, creditLot, grant }) => {
    for (const part of parts) {
      debitLot(part.lot, part.amount, ALLOCATION);
      const origin = originOf(book.lots, part.lot);
      const hasRoom = origin && plus(origin.remaining, part.amount) <= origin.facts.granted;
      if (origin && hasRoom) creditLot(origin, part.amount, ALLOCATION);
      else grant({ ...split(book, part), allocationId }, ALLOCATION);
    }
  });
}

/** A lot like the one that its credits come from. */
function split(book: WalletBook, { lot, amount }: LotPart): NewLot {
  const { id, bucketId, source, paid, effectiveAt, expiresAt, purchaseId, originId } = lot.facts;
  const bucket = book.bucketById(bucketId);
  const like = { bucket, source, paid, effectiveAt, expiresAt, purchaseId, originId: originId ?? id };
  return { ...like, amount, repaysDebt: false };
}
