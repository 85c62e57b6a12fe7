/** Loads usage reports and spend summaries for the API: those of all organizations of an answer at once. */
import type { GraphQLResolveInfo } from 'graphql';
import { may } from '../../domain/identity/caller.ts';
import type { Zone } from '../../domain/time/zone.ts';
import { needsLines, type ReportWindow, reportWindows, type UsageQuery, type Work } from '../../domain/usage/report.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import { spendSummaries } from '../../persistence/reports/spend-summaries.ts';
import {
  findReportedTenants,
  type UsageRows,
  usageOfLines,
  usageOfRollups,
} from '../../persistence/reports/usage-reports.ts';
import type { GraphQLContext } from '../context.ts';
import { encodeId } from '../ids.ts';
import type { SpendSummaryShape } from '../types/spend-summary.ts';
import type { UsageKey, UsageReportShape } from '../types/usage-report.ts';

/** The dimensions whose values are ids, with the types that they are of. */
const ID_TYPES: Readonly<Record<string, string>> = { USER: 'User', PROJECT: 'Project', API_KEY: 'ApiKey' };

/** Null to those without billing:read; `read` is asked only for the others. */
export async function loadUsageReport(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
  read: () => UsageQuery,
): Promise<UsageReportShape | null> {
  if (!may(context.caller, 'billing:read', organizationId)) return null;
  const query = read();
  const usage = await context.loaders.byPath(info, organizationId, (ids) => usageOf(context, query, ids));
  const { rows, ...totals } = usage;
  return { ...totals, organizationId, rows: rows.map((row) => ({ ...row, key: keyOf(query, row.key) })) };
}

async function usageOf(
  { services: { sql } }: GraphQLContext,
  query: UsageQuery,
  organizationIds: readonly string[],
): Promise<UsageRows[]> {
  const tenants = await findReportedTenants(sql, organizationIds);
  const windowsByZone = new Map<string, readonly ReportWindow[]>();
  const windowsIn = (zone: Zone): readonly ReportWindow[] => {
    const key = JSON.stringify(zone);
    const windows = windowsByZone.get(key) ?? reportWindows(query, zone);
    windowsByZone.set(key, windows);
    return windows;
  };
  const wallets = tenants.map(({ walletId, timeZone }) => ({ walletId, windows: windowsIn(timeZone) }));
  const usage = await (needsLines(query) ? usageOfLines : usageOfRollups)(sql, query, wallets);
  const byOrganization = new Map(tenants.map(({ organizationId }, index) => [organizationId, usage[index]]));
  return organizationIds.map((id) => {
    const found = byOrganization.get(id);
    if (!found) throw new Error(`the organization ${id} has no wallet`);
    return found;
  });
}

/** The names of what was asked for, in the order of the values. */
function keyOf({ groupBy, byDimensions }: UsageQuery, values: readonly (string | null)[]): UsageKey[] {
  return values.map((value, index) => {
    const dimension = groupBy[index];
    if (dimension === undefined) return { dimension: byDimensions[index - groupBy.length] ?? '', value };
    const type = ID_TYPES[dimension];
    return { dimension, value: value === null || type === undefined ? value : encodeId(type, value) };
  });
}

/**
 * What is due is posted first, so that holds that have lapsed do not count. A key without billing:read sees what its own
 * calls did; null to everybody else without it.
 */
export async function loadSpendSummary(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
  read: () => Work,
): Promise<SpendSummaryShape | null> {
  const { caller, loaders, services } = context;
  const readsAll = may(caller, 'billing:read', organizationId);
  const isOwn = caller.kind === 'API_KEY' && may(caller, 'usage:write', organizationId);
  if (!readsAll && !isOwn) return null;
  const work = read();
  const ownKeyId = readsAll || caller.kind !== 'API_KEY' ? null : caller.keyId;
  const summary = await loaders.byPath(info, organizationId, async (ids) => {
    await settleWallets(services, ids);
    return spendSummaries(services.sql, ids, work, ownKeyId);
  });
  return { ...work, ...summary };
}
