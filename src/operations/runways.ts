/** How long what wallets have will last, as they stand: what is due on them has been posted by whoever reads them. */
import type { Micros } from '../domain/credits/micros.ts';
import { creditsPerDay } from '../domain/runway/burn-rate.ts';
import { depletesAt } from '../domain/runway/depletion.ts';
import { maySpend } from '../domain/subscriptions/subscription.ts';
import type { Instant } from '../domain/time/instant.ts';
import { loadRunwayFacts, type RunwayFacts } from '../persistence/reports/runways.ts';
import type { Services } from './services.ts';

export interface Runway {
  readonly creditsPerDay: Micros;
  /** Null where nothing is burned or it is not foreseen. */
  readonly depletesAt: Instant | null;
}

/** In the order of the wallets. */
export async function runways({ sql }: Pick<Services, 'sql'>, walletIds: readonly string[]): Promise<Runway[]> {
  const facts = await loadRunwayFacts(sql, walletIds);
  const byWallet = new Map(facts.map((of): [string, Runway] => [of.walletId, runwayOf(of)]));
  return walletIds.map((id) => {
    const runway = byWallet.get(id);
    if (!runway) throw new Error(`the wallet ${id} has no buckets`);
    return runway;
  });
}

function runwayOf({ history, subscription, ...supply }: RunwayFacts): Runway {
  const perDay = creditsPerDay(history, supply.now);
  const refreshesUntil = endOfRefreshes(subscription, supply.now);
  return { creditsPerDay: perDay, depletesAt: depletesAt({ ...supply, creditsPerDay: perDay, refreshesUntil }) };
}

/** Null where nothing ends the subscription. One that is not paid for grants nothing. */
function endOfRefreshes(subscription: RunwayFacts['subscription'], now: Instant): Instant | null {
  if (subscription === null || !maySpend(subscription.status)) return now;
  return subscription.cancelAtPeriodEnd ? subscription.periodEnd : null;
}
