/** Loads statements for the API: those of all organizations of an answer at once. */
import type { GraphQLResolveInfo } from 'graphql';
import { may, organizationOfWallet } from '../../domain/identity/caller.ts';
import type { YearMonth } from '../../domain/statements/year-month.ts';
import { MAX_STATEMENTS, type ReadStatement, readStatements } from '../../operations/read-statements.ts';
import type { StatementFilter } from '../../persistence/reports/statements.ts';
import { findOrganizationsOf } from '../../persistence/wallets.ts';
import type { GraphQLContext } from '../context.ts';
import { badUserInput } from '../errors.ts';
import type { StatementShape } from '../types/statement.ts';

function shape(read: ReadStatement): StatementShape {
  const { organizationId, walletId, month } = read.statement;
  return { ...read, organizationId, walletId, month };
}

/** Null to those without billing:read, and where the organization did not exist in that month or has not come to it. */
export async function loadStatement(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
  month: YearMonth,
): Promise<StatementShape | null> {
  const [found] = (await load(context, info, organizationId, () => ofMonth(month))) ?? [];
  return found ?? null;
}

interface StatementArguments {
  readonly year?: number | null | undefined;
  readonly month?: number | null | undefined;
}

/** Newest first; null to those without billing:read. */
export function loadStatements(
  context: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
  { year, month }: StatementArguments,
): Promise<StatementShape[] | null> {
  return load(context, info, organizationId, () => ({
    month: null,
    year: within('year', year, 9_999),
    monthOfYear: within('month', month, 12),
    limit: MAX_STATEMENTS,
  }));
}

const ofMonth = (month: YearMonth): StatementFilter => ({ month, year: null, monthOfYear: null, limit: 1 });

function within(name: string, value: number | null | undefined, most: number): number | null {
  if (value === null || value === undefined) return null;
  if (value < 1 || value > most) throw badUserInput(`${name} must be from 1 to ${most}.`);
  return value;
}

/** `filter` is asked only for those who may read. */
async function load(
  { caller, loaders, services }: GraphQLContext,
  info: GraphQLResolveInfo,
  organizationId: string,
  filter: () => StatementFilter,
): Promise<StatementShape[] | null> {
  if (!may(caller, 'billing:read', organizationId)) return null;
  const wanted = filter();
  const read = await loaders.byPath(info, organizationId, (ids) => readStatements(services, ids, wanted));
  return read.map(shape);
}

/** A statement by what its id names. */
export interface StatementKey {
  readonly walletId: string;
  readonly month: YearMonth;
}

/** Those that the caller may read, of the months asked for. */
export async function loadStatementNodes(
  { caller, services }: GraphQLContext,
  keys: readonly StatementKey[],
): Promise<StatementShape[]> {
  const found: StatementShape[] = [];
  const owners = await ownersOf({ caller, services }, keys);
  for (const month of new Set(keys.map((key) => key.month))) {
    const ids = keys.flatMap((key) => (key.month === month ? (owners.get(key.walletId) ?? []) : []));
    if (ids.length === 0) continue;
    const read = await readStatements(services, [...new Set(ids)], ofMonth(month));
    found.push(...read.flat().map(shape));
  }
  return found;
}

/** The organizations of the wallets, where the caller may read them. */
async function ownersOf(
  { caller, services }: Pick<GraphQLContext, 'caller' | 'services'>,
  keys: readonly StatementKey[],
): Promise<ReadonlyMap<string, string>> {
  const walletIds = [...new Set(keys.map(({ walletId }) => walletId))];
  const owned =
    caller.kind === 'OPERATOR'
      ? await findOrganizationsOf(services.sql, walletIds)
      : walletIds.flatMap((walletId) => {
          const organizationId = organizationOfWallet(caller, walletId);
          return organizationId === undefined ? [] : [{ walletId, organizationId }];
        });
  return new Map(
    owned
      .filter(({ organizationId }) => may(caller, 'billing:read', organizationId))
      .map(({ walletId, organizationId }) => [walletId, organizationId]),
  );
}
