/** Reads what an estimate needs in one snapshot of the database, without locking anything, and decides on it. */
import { decideEstimate, type Estimate } from '../domain/posting/decide-estimate.ts';
import type { UsageQuantity } from '../domain/pricing/price.ts';
import type { InvalidInput, UnknownMeter } from '../domain/refusals.ts';
import { beginAndRead } from '../persistence/load-batch.ts';
import { rollBack } from '../persistence/write-batch.ts';
import { type BatchRunner, FIRST_LIMITS, refreshPolicies } from './run-batch.ts';

/** Null where the wallet has more due than one batch posts. */
export async function estimate(
  runner: BatchRunner,
  walletId: string,
  usage: readonly UsageQuantity[],
): Promise<Estimate | UnknownMeter | InvalidInput | null> {
  const { sql, release } = await runner.sql.connect();
  try {
    for (;;) {
      const policies = runner.policies();
      const { wallets, catalogVersion } = await beginAndRead(sql, walletId, FIRST_LIMITS, policies);
      await rollBack(sql);
      if (policies.catalogVersion < catalogVersion) {
        await refreshPolicies(runner, catalogVersion);
        continue;
      }
      release();
      const [snapshot] = wallets;
      if (!snapshot) throw new Error(`there is no wallet ${walletId}`);
      return decideEstimate(snapshot, usage, policies, runner.newId);
    }
  } catch (error) {
    release(error);
    throw error;
  }
}
