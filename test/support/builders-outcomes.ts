/** Outcomes as a test expects them; another one fails the test and shows what came instead. */
import { formatCredits } from '../../src/domain/credits/micros.ts';
import type { Command } from '../../src/domain/posting/commands.ts';
import type { EventOutcome, Held, Outcome, Posted } from '../../src/domain/posting/outcomes.ts';
import type { PostedEntry } from '../../src/domain/posting/records.ts';
import type { Refusal } from '../../src/domain/refusals.ts';
import type { Books, StoredHold } from './builders-books.ts';
import { anAuthorization, type HoldOptions } from './builders-commands.ts';

const shown = (outcome: Outcome): string =>
  JSON.stringify(outcome, (_name, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));

export function postedBy(books: Books, command: Command): Posted {
  const outcome = books.post(command);
  if (outcome.status !== 'posted') throw new Error(`expected a transaction, got ${shown(outcome)}`);
  return outcome;
}

export function heldBy(books: Books, command: Command): Held {
  const outcome = books.post(command);
  if (outcome.status !== 'held') throw new Error(`expected a hold, got ${shown(outcome)}`);
  return outcome;
}

/** The refusal of a command that is decided now; one given again is told by its `replayed`. */
export function refusedBy(books: Books, command: Command): Refusal & { readonly replayed: boolean } {
  const outcome = books.post(command);
  if (outcome.status !== 'refused') throw new Error(`expected a refusal, got ${shown(outcome)}`);
  return { ...outcome.refusal, replayed: outcome.replayed };
}

export function eventsOf(outcome: Outcome): readonly EventOutcome[] {
  if (outcome.status !== 'events') throw new Error(`expected events, got ${shown(outcome)}`);
  return outcome.outcomes;
}

/** Makes a hold and gives its id. */
export function aHold(books: Books, amount: string, options: HoldOptions = {}): string {
  return heldBy(books, anAuthorization(amount, options)).hold.facts.id;
}

/** What an entry moved, signed: a debit is negative. */
export const moved = ({ direction, amount }: PostedEntry): string =>
  `${direction === 'CREDIT' ? '' : '-'}${formatCredits(amount)}`;

/** What was posted since there were `from` entries: reason, signed amount, lot; null stands for what is owed. */
export const movesOf = ({ entries }: Books, from = 0): [string, string, string | null][] =>
  entries.slice(from).map((entry) => [entry.reasonCode, moved(entry), entry.lotId]);

/** A hold in the words of a test. */
export function holdState({ state, pins }: StoredHold) {
  return {
    status: state.status,
    captured: formatCredits(state.captured),
    remaining: formatCredits(state.remaining),
    pins: pins.map(({ lotId, pinned }) => [lotId, formatCredits(pinned)]),
  };
}
