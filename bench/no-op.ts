/** A poster that posts nothing and answers at once: what is left of a debit then is the floor that debits are compared with. */

import { type Micros, negate, ZERO } from '../src/domain/credits/micros.ts';
import type { Command } from '../src/domain/posting/commands.ts';
import type { Outcome } from '../src/domain/posting/outcomes.ts';
import { transactionDetails } from '../src/domain/posting/records.ts';
import { instant } from '../src/domain/time/instant.ts';
import { newId } from '../src/new-id.ts';
import type { Poster } from '../src/posting/engine.ts';

export const NO_OP: Poster = {
  estimate: async () => null,
  preview: async () => null,
  async execute(command: Command): Promise<Outcome> {
    if (command.kind === 'settle') return { status: 'settled' };
    const now = instant(Date.now());
    return {
      status: 'posted',
      transaction: {
        id: newId(),
        walletId: command.walletId,
        ...transactionDetails({ kind: 'DEBIT', reasonCode: 'USAGE', actor: command.actor, effectiveAt: now }),
        idempotencyKey: 'idempotencyKey' in command ? command.idempotencyKey : null,
        postedAt: now,
        amount: negate(amountOf(command)),
      },
      available: ZERO,
      availableNow: ZERO,
      lotId: null,
      hold: null,
    };
  },
};

function amountOf(command: Command): Micros {
  return command.kind === 'debit' && command.charge.kind === 'amount' ? command.charge.amount : ZERO;
}
