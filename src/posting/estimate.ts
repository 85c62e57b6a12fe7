/** Reads what an estimate needs in one snapshot of the database, without locking anything, and decides on it. */
import { decideEstimate, type Estimate } from '../domain/posting/decide-estimate.ts';
import type { UsageQuantity } from '../domain/pricing/price.ts';
import type { InvalidInput, UnknownMeter } from '../domain/refusals.ts';
import { beginAndRead } from '../persistence/load-batch.ts';
import { rollBack } from '../persistence/write-batch.ts';
import { type BatchRunner, FIRST_LIMITS, refreshPolicies, withMoreLots } from './run-batch.ts';

/** Null where the wallet has more due than one batch posts. */
export async function estimate(
  runner: BatchRunner,
  walletId: string,
  usage: readonly UsageQuantity[],
): Promise<Estimate | UnknownMeter | InvalidInput | null> {
  const { sql, release } = await runner.sql.connect();
  try {
    for (let limits = FIRST_LIMITS; ; ) {
      const policies = runner.policies();
      const { wallets, catalogVersion } = await beginAndRead(sql, walletId, limits, policies);
      await rollBack(sql);
      if (policies.catalogVersion < catalogVersion) {
        await refreshPolicies(runner, catalogVersion);
        continue;
      }
      const [snapshot] = wallets;
      if (!snapshot) throw new Error(`there is no wallet ${walletId}`);
      const decided = decideEstimate(snapshot, usage, policies, runner.newId);
      if (decided === 'needs-lots') {
        limits = withMoreLots(limits);
        continue;
      }
      release();
      return decided === 'busy' ? null : decided;
    }
  } catch (error) {
    release(error);
    throw error;
  }
}
