/**
 * Closes the months of a wallet that are over by its organization's clock, from the oldest on: what is due is posted first,
 * then the statements are made under the wallet's lock, so that nothing is posted meanwhile. Each month is closed once,
 * whoever asks and however often. A frozen wallet's months stay open until it is unfrozen.
 *
 * Throws WalletBusy where more is due than a reader waits for or something came due just now, the engine's faults and the
 * database's.
 */
import type { Tenant } from '../domain/identity/caller.ts';
import { closableMonths, type StatedMonth, unclosedMonths } from '../domain/statements/months.ts';
import {
  isBalanced,
  type Statement,
  type StatementFigures,
  statementContent,
  statementHash,
} from '../domain/statements/statement.ts';
import { zoneAt } from '../domain/time/zone.ts';
import type { Queryable } from '../persistence/connection.ts';
import { addUpAhead, statementFigures, type WalletMonth } from '../persistence/statement-figures.ts';
import {
  findStatedWallets,
  insertStatements,
  lockStatedWallet,
  noteNextClose,
  type StatedWallet,
} from '../persistence/statements.ts';
import { WalletBusy } from './outcome.ts';
import type { Services } from './services.ts';
import { ROUNDS_OF_A_READ, settleWallet } from './settle-wallets.ts';

/** Months that one transaction closes: ten years. */
const AT_ONCE = 120;

type Closing = Pick<Services, 'sql' | 'engine'>;

/** Closes at most so many months. Answers whether there may be more. */
export async function closeMonths(services: Closing, tenant: Tenant): Promise<{ readonly unfinished: boolean }> {
  const { sql, engine } = services;
  if (!(await settleWallet(engine, tenant, ROUNDS_OF_A_READ))) throw new WalletBusy();
  const [before] = await findStatedWallets(sql, [tenant.organizationId]);
  if (!before || before.frozen) return { unfinished: false };
  // Long months are added up before the lock, under which little is left of them.
  await addUpAhead(sql, ofWallet(before, closableMonths(before, before.dueAt).slice(0, AT_ONCE)));
  return sql.begin((tx) => closeLocked(tx, tenant));
}

async function closeLocked(tx: Queryable, tenant: Tenant): Promise<{ readonly unfinished: boolean }> {
  const wallet = await lockStatedWallet(tx, tenant);
  if (!wallet || wallet.frozen) return { unfinished: false };
  const months = closableMonths(wallet, wallet.dueAt).slice(0, AT_ONCE);
  if (months.length > 0) await insertStatements(tx, await close(tx, wallet, months));
  const closedUntil = months.at(-1)?.end ?? wallet.closedUntil;
  const [next] = unclosedMonths({ ...wallet, closedUntil });
  if (!next) throw new Error('there is always a month that runs');
  const unfinished = next.end <= wallet.now;
  if (unfinished && months.length === 0) throw new WalletBusy();
  await noteNextClose(tx, wallet.walletId, { closedUntil, nextCloseAt: next.end });
  return { unfinished };
}

async function close(tx: Queryable, wallet: StatedWallet, months: readonly StatedMonth[]) {
  const figures = await statementFigures(tx, ofWallet(wallet, months));
  let previousHash = wallet.lastHash;
  return months.map((month, index) => {
    const ofMonth = figures[index];
    if (!ofMonth || !isBalanced(ofMonth)) throw new Error(`the statement of ${month.month} does not balance`);
    const statement = { ...statementOf(wallet, month, ofMonth), closedAt: wallet.now, previousHash };
    const content = statementContent(statement);
    const hash = statementHash(content);
    previousHash = hash;
    return { statement, content, hash };
  });
}

/** The statement as it stands, provisional. */
export function statementOf(
  { organizationId, slug, walletId, zone }: StatedWallet,
  month: StatedMonth,
  figures: StatementFigures,
): Statement {
  return {
    ...{ organizationId, slug, walletId },
    ...month,
    ...figures,
    timeZone: zoneAt(zone, month.start),
    closedAt: null,
    previousHash: null,
  };
}

export const ofWallet = ({ walletId }: StatedWallet, months: readonly StatedMonth[]): WalletMonth[] =>
  months.map((month) => ({ ...month, walletId }));
