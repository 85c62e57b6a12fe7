/** Top-ups that begin by themselves, as they stand now: with what this month has cost and why none begins. */
import type { Money } from '../domain/money/money.ts';
import { type AutoTopUpSettings, reasonOfPause } from '../domain/purchases/auto-top-up.ts';
import { calendarWindow } from '../domain/time/calendar.ts';
import { findAutoTopUps, loadTopUpSpending } from '../persistence/payments/auto-top-ups.ts';
import type { Services } from './services.ts';

export interface AutoTopUpStatus extends AutoTopUpSettings {
  readonly spentThisMonth: Money;
  /** Null where falling below the threshold begins one. */
  readonly suspendedReason: string | null;
}

/** In the order of the organizations; null for those that never configured it. */
export async function autoTopUpStatuses(
  { sql }: Pick<Services, 'sql'>,
  organizationIds: readonly string[],
): Promise<(AutoTopUpStatus | null)[]> {
  const found = await findAutoTopUps(sql, organizationIds);
  if (found.length === 0) return organizationIds.map(() => null);
  const months = found.map(({ walletId, now, timeZone }) => ({
    walletId,
    since: calendarWindow('MONTH', now, timeZone).start,
  }));
  const spending = await loadTopUpSpending(sql, months);
  const statuses = new Map(
    found.map(({ organizationId, walletId, autoTopUp, now }): [string, AutoTopUpStatus] => {
      const { currency } = autoTopUp.ceiling;
      const spentThisMonth = { amountMinor: spending.get(walletId) ?? 0n, currency };
      return [organizationId, { ...autoTopUp, spentThisMonth, suspendedReason: reasonOfPause(autoTopUp, now) }];
    }),
  );
  return organizationIds.map((id) => statuses.get(id) ?? null);
}
