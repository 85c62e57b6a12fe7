/**
 * Reads statements. Months that are over are closed by whoever reads them first; the one that runs is added up as it stands,
 * as are those of a frozen wallet. The caller has checked who may read them.
 *
 * Throws WalletBusy, the engine's faults and the database's.
 */
import { groupBy } from '../domain/group-by.ts';
import { type StatedMonth, unclosedMonths } from '../domain/statements/months.ts';
import { type Statement, statementContent } from '../domain/statements/statement.ts';
import type { Sql } from '../persistence/connection.ts';
import { addUpAhead, figuresAtOneInstant } from '../persistence/reports/statement-figures.ts';
import {
  findStatedWallets,
  findStatements,
  readStatement,
  type StatedWallet,
  type StatementFilter,
} from '../persistence/reports/statements.ts';
import { closeMonths, ofWallet, statementOf } from './close-months.ts';
import type { Services } from './services.ts';
import { settleWallets } from './settle-wallets.ts';

/** Statements that a list has at most: ten years. */
export const MAX_STATEMENTS = 120;

export interface ReadStatement {
  readonly statement: Statement;
  /** What the hash covers; of a provisional statement what it would say now. */
  readonly content: string;
  /** Null while it is provisional. */
  readonly hash: string | null;
}

/** Those of each organization, in the order of the ids, newest first. */
export async function readStatements(
  services: Pick<Services, 'sql' | 'engine'>,
  organizationIds: readonly string[],
  filter: StatementFilter,
): Promise<ReadStatement[][]> {
  const { sql } = services;
  await settleWallets(services, organizationIds);
  const wallets = await closeOverdue(services, await findStatedWallets(sql, organizationIds));
  const stored = await findStatements(
    sql,
    wallets.map(({ walletId }) => walletId),
    filter,
  );
  const provisional = await readProvisional(sql, wallets, filter);
  const byOrganization = new Map(wallets.map((wallet) => [wallet.organizationId, wallet]));
  return organizationIds.map((id) => {
    const walletId = byOrganization.get(id)?.walletId ?? '';
    const closed = (stored.get(walletId) ?? []).map(({ content, hash }) => ({
      statement: readStatement(content),
      content,
      hash,
    }));
    // One that was closed meanwhile is shown as that.
    const isClosed = new Set(closed.map(({ statement }) => statement.month));
    const open = (provisional.get(walletId) ?? []).filter(({ statement }) => !isClosed.has(statement.month));
    return [...open, ...closed].slice(0, filter.limit);
  });
}

async function closeOverdue(
  services: Pick<Services, 'sql' | 'engine'>,
  wallets: readonly StatedWallet[],
): Promise<readonly StatedWallet[]> {
  const overdue = wallets.filter(({ frozen, nextCloseAt, now }) => !frozen && nextCloseAt <= now);
  if (overdue.length === 0) return wallets;
  await Promise.all(
    overdue.map(async (wallet) => {
      while ((await closeMonths(services, wallet)).unfinished);
    }),
  );
  return findStatedWallets(
    services.sql,
    wallets.map(({ organizationId }) => organizationId),
  );
}

interface OpenMonth {
  readonly wallet: StatedWallet;
  readonly month: StatedMonth;
}

async function readProvisional(
  sql: Sql,
  wallets: readonly StatedWallet[],
  filter: StatementFilter,
): Promise<ReadonlyMap<string, readonly ReadStatement[]>> {
  const open = wallets.flatMap((wallet) => openMonths(wallet, filter).map((month) => ({ wallet, month })));
  if (open.length === 0) return new Map();
  const months = open.flatMap(({ wallet, month }) => ofWallet(wallet, [month]));
  await addUpAhead(sql, months);
  const figures = await figuresAtOneInstant(sql, months);
  const read = open.map(({ wallet, month }: OpenMonth, index): ReadStatement => {
    const ofMonth = figures[index];
    if (!ofMonth) throw new Error(`the month ${month.month} has no figures`);
    const statement = statementOf(wallet, month, ofMonth);
    return { statement, content: statementContent(statement), hash: null };
  });
  return groupBy(read, ({ statement }) => statement.walletId);
}

/** Newest first. */
function openMonths(wallet: StatedWallet, { month, year, monthOfYear, limit }: StatementFilter): StatedMonth[] {
  return unclosedMonths(wallet)
    .filter(
      ({ month: name }) =>
        (month === null || name === month) &&
        (year === null || Number(name.slice(0, 4)) === year) &&
        (monthOfYear === null || Number(name.slice(5)) === monthOfYear),
    )
    .toReversed()
    .slice(0, limit);
}
