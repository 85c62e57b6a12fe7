/** Reads what an estimate needs in one snapshot of the database, without locking anything, and decides on it. */
import { decideEstimate, type Estimate } from '../domain/posting/decide-estimate.ts';
import type { UsageQuantity } from '../domain/pricing/price.ts';
import type { InvalidInput, UnknownMeter } from '../domain/refusals.ts';
import { beginAndRead } from '../persistence/load-batch.ts';
import { rollBack } from '../persistence/write-batch.ts';
import { type BatchRunner, FIRST_LIMITS } from './run-batch.ts';

/** Null where the wallet has more due than one batch posts. */
export async function estimate(
  { sql: pool, policies, newId }: BatchRunner,
  walletId: string,
  usage: readonly UsageQuantity[],
): Promise<Estimate | UnknownMeter | InvalidInput | null> {
  const { sql, release } = await pool.connect();
  try {
    const current = policies();
    const { wallets } = await beginAndRead(sql, walletId, FIRST_LIMITS, current);
    await rollBack(sql);
    release();
    const [snapshot] = wallets;
    if (!snapshot) throw new Error(`there is no wallet ${walletId}`);
    return decideEstimate(snapshot, usage, current, newId);
  } catch (error) {
    release(error);
    throw error;
  }
}
