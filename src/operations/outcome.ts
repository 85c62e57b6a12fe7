/** Turns the engine's outcomes into what operations answer. */
import type { Micros } from '../domain/credits/micros.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { AnsweredHold, GivenAnswer } from '../domain/posting/idempotency.ts';
import type { Outcome, Posted, Replayed } from '../domain/posting/outcomes.ts';
import type { Refusal } from '../domain/refusals.ts';
import { type HoldRow, holdAsAnswered, holdRowOf } from '../persistence/holds.ts';
import { findTransactions, rowOf, type TransactionRow } from '../persistence/transactions.ts';
import type { Services } from './services.ts';

/** What every answer tells, given now or when its key was first used. */
interface Told {
  readonly organizationId: string;
  /** What could be spent right after it. */
  readonly available: Micros;
  readonly replayed: boolean;
}

/** A command that posted a transaction. */
export interface Answered extends Told {
  readonly transaction: TransactionRow;
  readonly lotId: string | null;
}

/** A command upon a hold that moved no credits. */
export interface AnsweredHolding extends Told {
  readonly hold: HoldRow;
}

/** A capture: a transaction, and the hold that it used. */
export interface AnsweredCapture extends Answered, AnsweredHolding {}

type Answer = Omit<Answered, 'organizationId'>;
type Reading = Pick<Services, 'prisma'>;

/** Thrown where a wallet has more due than one batch posts; the caller tries again shortly. */
export class WalletBusy extends Error {
  constructor() {
    super('the wallet is catching up with what was due');
  }
}

/** A refusal as it is; throws for outcomes that do not answer the command. */
export function refusalOf(outcome: Outcome): Refusal {
  if (outcome.status === 'refused') return outcome.refusal;
  if (outcome.status === 'busy') throw new WalletBusy();
  throw new Error(`a command was answered with ${outcome.status}`);
}

export async function answerOf(
  { prisma }: Reading,
  { organizationId }: Tenant,
  outcome: Outcome,
): Promise<Answered | Refusal> {
  if (outcome.status === 'posted') return { organizationId, ...postedAnswer(outcome) };
  if (outcome.status !== 'replayed') return refusalOf(outcome);
  const transactions = await findTransactions(prisma, [transactionIdOf(outcome.answer)]);
  return { organizationId, ...replayedAnswer(outcome, transactions) };
}

export async function holdingAnswerOf(
  { prisma }: Reading,
  { organizationId }: Tenant,
  outcome: Outcome,
): Promise<AnsweredHolding | Refusal> {
  if (outcome.status === 'held') {
    return { organizationId, hold: holdRowOf(outcome.hold), available: outcome.available, replayed: false };
  }
  if (outcome.status !== 'replayed') return refusalOf(outcome);
  const hold = await holdAsAnswered(prisma, holdOf(outcome.answer));
  return { organizationId, hold, available: outcome.available, replayed: true };
}

export async function captureAnswerOf(
  services: Reading,
  tenant: Tenant,
  outcome: Outcome,
): Promise<AnsweredCapture | Refusal> {
  const answer = await answerOf(services, tenant, outcome);
  if (outcome.status === 'posted' && outcome.hold) return { ...(answer as Answered), hold: holdRowOf(outcome.hold) };
  if (outcome.status !== 'replayed') return refusalOf(outcome);
  const hold = await holdAsAnswered(services.prisma, holdOf(outcome.answer));
  return { ...(answer as Answered), hold };
}

function postedAnswer({ transaction, lotId, available }: Posted): Answer {
  return { transaction: rowOf(transaction), lotId, available, replayed: false };
}

/** Completes a stored answer from the transactions that were read for it. */
export function replayedAnswer(
  { answer, available }: Replayed,
  transactions: ReadonlyMap<string, TransactionRow>,
): Answer {
  const id = transactionIdOf(answer);
  const transaction = transactions.get(id);
  if (!transaction) throw new Error(`the transaction ${id} of a stored answer is missing`);
  return { transaction, lotId: 'lotId' in answer ? answer.lotId : null, available, replayed: true };
}

export function transactionIdOf(answer: GivenAnswer): string {
  if ('transactionId' in answer) return answer.transactionId;
  throw new Error('a stored answer names no transaction');
}

function holdOf(answer: GivenAnswer): AnsweredHold {
  if ('hold' in answer && answer.hold) return answer.hold;
  throw new Error('a stored answer names no hold');
}
