/**
 * Has the posting engine bring alerts up to date before they are read: what is due on the wallets is posted, and defaults
 * of a plan follow a catalog that was applied since the wallet was last used. Costs two statements where nothing is to be done.
 */
import { systemActor } from '../domain/actor.ts';
import { withPlanAlerts } from '../domain/alerts/alert.ts';
import { defaultsOf } from '../domain/posting/watch-alerts.ts';
import { instant } from '../domain/time/instant.ts';
import { findAlerts } from '../persistence/alerts.ts';
import type { Services } from './services.ts';
import { settleWallets } from './settle-wallets.ts';

export async function settleAlerts(
  services: Pick<Services, 'sql' | 'engine' | 'catalogs'>,
  organizationIds: readonly string[],
): Promise<void> {
  await settleWallets(services, organizationIds);
  const { sql, engine, catalogs } = services;
  const found = await findAlerts(sql, organizationIds);
  const outdated = found.filter(({ alerts, subscription }) => {
    const plan = defaultsOf(subscription, catalogs.policies);
    // Asked only whether anything would change; the engine does it, by the clock and with ids of its own.
    return withPlanAlerts(alerts, plan, instant(0), () => '') !== alerts;
  });
  const actor = systemActor('purser');
  await Promise.all(
    outdated.map(({ walletId, organizationId }) => engine.execute({ kind: 'settle', walletId, organizationId, actor })),
  );
}
