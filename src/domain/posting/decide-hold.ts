/**
 * Two-phase charging: `authorize` reserves, `capture` charges what was really used, `release` and the hold's lapse give
 * back. What a hold reserved is spent through its pins, so that nothing done meanwhile can take it away.
 */
import { type Micros, minus, negate, plus, smaller, ZERO } from '../credits/micros.ts';
import type { HoldPolicies } from '../holds/hold.ts';
import { type InvalidInput, invalidInput, notFound, type UnknownMeter } from '../plain-refusals.ts';
import { countUnits, rateCardAt } from '../pricing/price.ts';
import type { RateCard } from '../pricing/rate-card.ts';
import { isRefusal, type Refusal } from '../refusals.ts';
import { spenderOf } from '../spender.ts';
import { formatInstant, type Instant, instant } from '../time/instant.ts';
import {
  assess,
  type ChargingPolicies,
  explain,
  insufficient,
  limitsOf,
  type PricedCharge,
  priceCharge,
  type Sources,
  sourcesOf,
  take,
  termsOf,
  waive,
} from './assess-charge.ts';
import type { AuthorizeCommand, CaptureCommand, ExtendCommand, HoldCommand, ReleaseCommand } from './commands.ts';
import { expireLeftovers } from './expire-lot.ts';
import { captureOperations, giveBackOperations, takeOperations } from './frequency.ts';
import { capturableOf, type DraftHold, remainingOf } from './hold-drafts.ts';
import type { DraftLot } from './lot-drafts.ts';
import { held, type Outcome, posted, refused } from './outcomes.ts';
import { transactionDetails } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

export interface HoldingPolicies extends ChargingPolicies {
  readonly holds: HoldPolicies;
}

const REASON_CODE = 'USAGE';

export function decideAuthorize(book: WalletBook, command: AuthorizeCommand, policies: HoldingPolicies): Outcome {
  const spender = spenderOf(command);
  const card = rateCardAt(policies.rateCards, book.now);
  const priced = priceCharge(book, command.charge, card, policies);
  if (isRefusal(priced)) return refused(priced, book.available);
  const { counting, refusal } = assess(book, priced, { spender, overage: 'REJECT' }, policies);
  if (refusal) return refused(refusal, book.available);
  const hold = book.hold(
    {
      walletId: book.snapshot.id,
      amount: priced.total,
      idempotencyKey: command.idempotencyKey,
      lines: priced.lines,
      rateCardVersion: card.version,
      actor: command.actor,
      attribution: command.attribution,
      metadata: command.metadata,
      reservations: counting.map(({ counter, window }) => ({ counter, windowStart: window.start })),
      createdAt: book.now,
    },
    instant(book.now + (command.life ?? policies.holds.defaultLife)),
  );
  for (const limit of counting) book.counters.spend(limit, priced.total);
  hold.operations = takeOperations(book, priced.lines, termsOf(book, policies).frequencyCaps);
  return held(book, hold);
}

/** What of the commands only the clock and the catalog can tell to be invalid. */
export function checkLife(
  book: WalletBook,
  command: AuthorizeCommand,
  { holds }: HoldingPolicies,
): InvalidInput | null {
  return command.life !== null && command.life > holds.maxLife ? tooLong(instant(book.now + holds.maxLife)) : null;
}

const tooLong = (latest: Instant): InvalidInput =>
  invalidInput(['expiresInSeconds'], `a hold may last until ${formatInstant(latest)} at most`);

/** The hold that a command is about; an open one, or why it cannot be. */
function openHold(book: WalletBook, { holdId }: HoldCommand): DraftHold | Refusal {
  const hold = book.holds.find(holdId);
  if (!hold) return notFound('hold');
  return hold.status === 'OPEN' ? hold : { code: 'HOLD_NOT_OPEN', status: hold.status };
}

export function decideCapture(book: WalletBook, command: CaptureCommand, policies: HoldingPolicies): Outcome {
  const hold = openHold(book, command);
  if (isRefusal(hold)) return refused(hold, book.available);
  const priced = priceCapture(book, hold, command, policies);
  if (isRefusal(priced)) return refused(priced, book.available);
  // A hold of nothing is captured whole at once: there is nothing that another capture could take.
  const isFinal = command.final || (command.charge === null && hold.facts.amount === ZERO);
  const reserved = remainingOf(hold);
  const rest = capturableOf(hold);
  const fromHold = smaller(priced.total, rest);
  const beyond = overageOf(book, priced, minus(priced.total, fromHold), { command, hold, rest, policies });
  if (isRefusal(beyond)) return refused(beyond, book.available);
  const { facts } = hold;
  const transaction = book.post(
    transactionDetails({
      kind: 'CAPTURE',
      reasonCode: REASON_CODE,
      idempotencyKey: command.idempotencyKey,
      actor: command.actor,
      attribution: facts.attribution,
      lines: waive(priced.lines, beyond.waived),
      rateCardVersion: priced.rateCardVersion,
      metadata: facts.metadata,
      effectiveAt: book.now,
      holdId: facts.id,
    }),
    (movements) => {
      movements.spendHeld(hold, fromHold, REASON_CODE);
      take(beyond, movements, REASON_CODE);
      if (isFinal) movements.unpin(hold);
    },
  );
  const overage = plus(beyond.spent, beyond.borrowed);
  if (transaction.amount !== negate(plus(fromHold, overage))) throw new Error('a capture must move what it charges');
  book.holds.capture(hold, negate(transaction.amount));
  // What comes beyond the hold counts in the window of now and is not refused by it.
  for (const limit of limitsOf(book, policies, spenderOf(facts))) book.counters.spend(limit, overage);
  captureOperations(book, hold, priced.lines, termsOf(book, policies).frequencyCaps);
  book.countUnits(priced.counted);
  if (isFinal) {
    book.holds.resolve(hold, 'CAPTURED', book.now);
    giveBack(book, hold, minus(reserved, fromHold), book.now);
  }
  return posted(book, transaction, { hold });
}

/**
 * Neither amount nor usage means the whole rest; where nothing was captured before it is charged by the hold's own lines, and
 * what a freeze keeps from it is waived.
 */
function priceCapture(
  book: WalletBook,
  hold: DraftHold,
  { charge }: CaptureCommand,
  policies: HoldingPolicies,
): PricedCharge | UnknownMeter | InvalidInput {
  const card = cardOf(hold, policies);
  if (charge !== null) return priceCharge(book, charge, card, policies);
  const total = capturableOf(hold);
  const { amount, lines: reserved } = hold.facts;
  const lines = hold.captured === ZERO ? waive(reserved, minus(amount, total)) : [];
  const rateCardVersion = lines.length === 0 ? null : card.version;
  return { total, lines, counted: countUnits(card, lines), rateCardVersion };
}

function cardOf({ facts }: DraftHold, { rateCards }: HoldingPolicies): RateCard {
  const card = rateCards.find(({ version }) => version === facts.rateCardVersion);
  if (!card) throw new Error(`the rate card ${facts.rateCardVersion} of a hold is missing`);
  return card;
}

interface Overage {
  readonly command: CaptureCommand;
  readonly hold: DraftHold;
  /** What is left of the hold. */
  readonly rest: Micros;
  readonly policies: HoldingPolicies;
}

/** Where the credits come from that a capture charges beyond its hold. */
function overageOf(
  book: WalletBook,
  priced: PricedCharge,
  missing: Micros,
  { command, hold, rest, policies }: Overage,
): Sources | Refusal {
  const funds = book.fundsOf(spenderOf(hold.facts));
  const none = { funds, spent: ZERO, borrowed: ZERO, waived: ZERO };
  if (missing === ZERO) return none;
  switch (command.overage) {
    case 'REJECT':
      return { code: 'CAPTURE_EXCEEDS_HOLD', required: priced.total, held: rest };
    case 'CAP':
      return { ...none, waived: missing };
    case 'DEBT':
      return (
        sourcesOf(book, missing, { funds, overage: 'DEBT' }, policies) ??
        insufficient(book, funds, priced.total, explain(book, priced, { funds, limits: [] }))
      );
    default: {
      const never: never = command.overage;
      throw new Error(`unknown overage policy ${never}`);
    }
  }
}

export function decideRelease(book: WalletBook, command: ReleaseCommand): Outcome {
  const hold = openHold(book, command);
  if (isRefusal(hold)) return refused(hold, book.available);
  endUnused(book, hold, 'RELEASED', book.now);
  return held(book, hold);
}

/** Ends a hold at an instant without charging what is left of it. */
export function endUnused(book: WalletBook, hold: DraftHold, status: 'RELEASED' | 'EXPIRED', at: Instant): void {
  const rest = remainingOf(hold);
  book.endHold(hold, status, at);
  giveBack(book, hold, rest, at);
}

/** The unused rest returns to the windows it was reserved in; what lots that have expired got back goes with them. */
function giveBack(book: WalletBook, hold: DraftHold, rest: Micros, at: Instant): void {
  const { facts, pins } = hold;
  for (const reservation of facts.reservations) book.counters.giveBack(reservation, rest);
  giveBackOperations(book, hold);
  for (const { lot } of pins) expireLeftovers(book, lot, at);
}

/** A lot is taken from the holds that have pinned it: what they had reserved of it they can neither capture nor give back. */
export function takeFromHolds(book: WalletBook, lot: DraftLot): void {
  for (const hold of book.holds.all) {
    for (const pin of hold.pins) {
      if (pin.lot !== lot || pin.pinned === ZERO) continue;
      const { pinned } = pin;
      book.holds.changePin(hold, pin, negate(pinned));
      for (const reservation of hold.facts.reservations) book.counters.giveBack(reservation, pinned);
    }
  }
  if (lot.pinned !== ZERO) throw new Error('not all holds that have pinned a lot were loaded');
}

export function decideExtend(book: WalletBook, command: ExtendCommand, policies: HoldingPolicies): Outcome {
  const hold = openHold(book, command);
  if (isRefusal(hold)) return refused(hold, book.available);
  const expiresAt = instant(book.now + command.life);
  const latest = latestExpiry(hold, policies);
  if (expiresAt > latest) return refused(tooLong(latest), book.available);
  if (expiresAt <= hold.expiresAt) {
    const present = formatInstant(hold.expiresAt);
    return refused(invalidInput(['expiresInSeconds'], `must lie after ${present}, when it expires`), book.available);
  }
  book.holds.extend(hold, expiresAt);
  book.transitionsChanged = true;
  return held(book, hold);
}

/** The catalog bounds a hold's whole life, and how long it may keep credits whose lot has expired. */
function latestExpiry({ facts, pins }: DraftHold, { holds }: HoldingPolicies): Instant {
  const expiries = pins.flatMap(({ lot, pinned }) =>
    lot.facts.expiresAt === null || pinned === ZERO ? [] : [lot.facts.expiresAt + holds.heldGrace],
  );
  return instant(Math.min(facts.createdAt + holds.maxLife, ...expiries));
}
