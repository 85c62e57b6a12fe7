/**
 * Posts what is due on wallets before they are read, so that what a reader sees is true at the instant of reading. Costs
 * one statement where nothing is due.
 */
import { systemActor } from '../domain/actor.ts';
import { dueWallets } from '../persistence/wallets.ts';
import { WalletBusy } from './outcome.ts';
import type { Services } from './services.ts';

export async function settleWallets(
  { sql, engine }: Pick<Services, 'sql' | 'engine'>,
  organizationIds: readonly string[],
): Promise<void> {
  const due = await dueWallets(sql, organizationIds);
  const actor = systemActor('purser');
  const outcomes = await Promise.all(due.map((tenant) => engine.execute({ kind: 'settle', ...tenant, actor })));
  if (outcomes.some((outcome) => outcome.status === 'busy')) throw new WalletBusy();
}
