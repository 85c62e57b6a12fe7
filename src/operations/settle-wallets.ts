/**
 * Posts what is due on wallets before they are read, so that what a reader sees is true at the instant of reading. Costs
 * one statement where nothing is due. Answers whether something was.
 */
import { systemActor } from '../domain/actor.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import { dueWallets } from '../persistence/wallets.ts';
import type { Poster } from '../posting/engine.ts';
import { WalletBusy } from './outcome.ts';
import type { Services } from './services.ts';

export async function settleWallets(
  { sql, engine }: Pick<Services, 'sql' | 'engine'>,
  organizationIds: readonly string[],
  maxRounds = ROUNDS_OF_A_READ,
): Promise<boolean> {
  const due = await dueWallets(sql, organizationIds);
  const settle = async (tenant: Tenant): Promise<void> => {
    if (!(await settleWallet(engine, tenant, maxRounds))) throw new WalletBusy();
  };
  await Promise.all(due.map(settle));
  return due.length > 0;
}

/** False where more is due than so many batches post. */
export async function settleWallet(
  engine: Poster,
  { walletId, organizationId }: Tenant,
  maxRounds: number,
): Promise<boolean> {
  const actor = systemActor('purser');
  for (let round = 0; round < maxRounds; round++) {
    const outcome = await engine.execute({ kind: 'settle', walletId, organizationId, actor });
    if (outcome.status !== 'busy') return true;
  }
  return false;
}

/** Batches that a reader waits for before it is asked to come again. Each posts hundreds of transitions. */
export const ROUNDS_OF_A_READ = 3;
/** Batches that an operator waits for who moves a test clock: a million transitions. */
export const ROUNDS_OF_A_CLOCK = 2_000;
