/** Turns the engine's outcomes into what operations answer. */
import type { Micros } from '../domain/credits/micros.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { Outcome, Posted, Replayed } from '../domain/posting/outcomes.ts';
import type { Refusal } from '../domain/refusals.ts';
import { findTransactions, rowOf, type TransactionRow } from '../persistence/transactions.ts';
import type { Services } from './services.ts';

/** A command carried out, now or when its key was first used. */
export interface Answered {
  readonly organizationId: string;
  readonly transaction: TransactionRow;
  readonly lotId: string | null;
  /** What could be spent right after it. */
  readonly available: Micros;
  readonly replayed: boolean;
}

export type Answer = Omit<Answered, 'organizationId'>;

/** Thrown where a wallet has more due than one batch posts; the caller tries again shortly. */
export class WalletBusy extends Error {
  constructor() {
    super('the wallet is catching up with what was due');
  }
}

export async function answerOf(
  services: Pick<Services, 'prisma'>,
  { organizationId }: Tenant,
  outcome: Outcome,
): Promise<Answered | Refusal> {
  switch (outcome.status) {
    case 'posted':
      return { organizationId, ...postedAnswer(outcome) };
    case 'replayed': {
      const answer = replayedAnswer(outcome, await findTransactions(services.prisma, [outcome.transactionId]));
      return { organizationId, ...answer };
    }
    case 'refused':
      return outcome.refusal;
    case 'busy':
      throw new WalletBusy();
    default:
      throw new Error(`a command was answered with ${outcome.status}`);
  }
}

export function postedAnswer({ transaction, lotId, available }: Posted): Answer {
  return { transaction: rowOf(transaction), lotId, available, replayed: false };
}

/** Completes a stored answer from the transactions that were read for it. */
export function replayedAnswer(
  { transactionId, lotId, available }: Replayed,
  transactions: ReadonlyMap<string, TransactionRow>,
): Answer {
  const transaction = transactions.get(transactionId);
  if (!transaction) throw new Error(`the transaction ${transactionId} of a stored answer is missing`);
  return { transaction, lotId, available, replayed: true };
}
