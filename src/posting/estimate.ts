/** Reads a wallet in one snapshot of the database, without locking anything, and decides on it: estimates and previews. */

import type { InvalidInput, NotFound, UnknownMeter } from '../domain/plain-refusals.ts';
import { decideEstimate, type Estimate, type Estimated, type Undecided } from '../domain/posting/decide-estimate.ts';
import type { Selection } from '../domain/posting/decide-subscribe.ts';
import type { Policies } from '../domain/posting/policies.ts';
import { type PlanChangePreview, previewPlanChange } from '../domain/posting/preview-plan-change.ts';
import type { WalletSnapshot } from '../domain/posting/wallet-snapshot.ts';
import { beginAndRead, type Reading } from '../persistence/batch/load-batch.ts';
import { rollBack } from '../persistence/batch/write-batch.ts';
import { type BatchRunner, FIRST_LIMITS, refreshPolicies, withMoreLots } from './run-batch.ts';

/** Null where the wallet has more due than one batch posts. */
export const estimate = (
  runner: BatchRunner,
  walletId: string,
  estimated: Estimated,
): Promise<Estimate | UnknownMeter | InvalidInput | null> =>
  decideOnSnapshot(runner, { walletId, selectsPlan: false, spender: estimated.spender }, (snapshot, policies) =>
    decideEstimate(snapshot, estimated, policies, runner.newId),
  );

/** Null where the wallet has more due than one batch posts. */
export const preview = (
  runner: BatchRunner,
  walletId: string,
  selection: Selection,
): Promise<PlanChangePreview | NotFound | InvalidInput | null> =>
  decideOnSnapshot(runner, { walletId, selectsPlan: true, spender: null }, (snapshot, policies) =>
    previewPlanChange(snapshot, selection, policies, runner.newId),
  );

async function decideOnSnapshot<Decided>(
  runner: BatchRunner,
  reading: Reading,
  decide: (snapshot: WalletSnapshot, policies: Policies) => Decided | Undecided,
): Promise<Decided | null> {
  const { sql, release } = await runner.sql.connect();
  try {
    for (let limits = FIRST_LIMITS; ; ) {
      const policies = runner.policies();
      const { wallets, catalogVersion } = await beginAndRead(sql, reading, limits, policies);
      await rollBack(sql);
      if (policies.catalogVersion < catalogVersion) {
        await refreshPolicies(runner, catalogVersion);
        continue;
      }
      const [snapshot] = wallets;
      if (!snapshot) throw new Error(`there is no wallet ${reading.walletId}`);
      const decided = decide(snapshot, policies);
      if (decided === 'needs-lots') {
        limits = withMoreLots(limits);
        continue;
      }
      release();
      return decided === 'busy' ? null : (decided as Decided);
    }
  } catch (error) {
    release(error);
    throw error;
  }
}
