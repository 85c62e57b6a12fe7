/** How much of spend limits is used now, and when their windows end. */
import { type Micros, ZERO } from '../domain/credits/micros.ts';
import { calendarWindow } from '../domain/time/calendar.ts';
import type { Instant } from '../domain/time/instant.ts';
import { type CountedSpendLimit, countsOfSpendLimits } from '../persistence/spend-limits.ts';
import type { Services } from './services.ts';
import { settleWallets } from './settle-wallets.ts';

export interface SpendLimitUse {
  /** Charged or reserved in the present window. */
  readonly used: Micros;
  /** When the next window begins. */
  readonly resetsAt: Instant;
}

/**
 * By id, removed limits included. What is due on their wallets is posted before: a hold that has lapsed counts no more.
 * Costs one statement where nothing is due.
 */
export async function spendLimitUses(
  services: Pick<Services, 'sql' | 'engine'>,
  ids: readonly string[],
): Promise<ReadonlyMap<string, SpendLimitUse>> {
  const found = await countsOfSpendLimits(services.sql, ids);
  const due = new Set(found.filter((limit) => limit.due).map(({ organizationId }) => organizationId));
  if (due.size === 0) return usesOf(found);
  await settleWallets(services, [...due]);
  return usesOf(await countsOfSpendLimits(services.sql, ids));
}

const usesOf = (limits: readonly CountedSpendLimit[]): ReadonlyMap<string, SpendLimitUse> =>
  new Map(limits.map((limit) => [limit.id, useOf(limit)]));

/** A counter of a window that is over says nothing of the present one. */
function useOf({ window, clock, count }: CountedSpendLimit): SpendLimitUse {
  const { start, end: resetsAt } = calendarWindow(window, clock.now, clock.timeZone);
  return { used: count?.windowStart === start ? count.used : ZERO, resetsAt };
}
