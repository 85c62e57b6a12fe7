/**
 * Closes the months of a wallet that are over by its organization's clock, from the oldest on. What is due is posted first.
 * Then the months are ended under the wallet's lock, for a moment: whatever is posted from there on counts after them, so
 * that they are added up while charges go on. Each month is closed once, whoever asks and however often: of two who close
 * the same month the one who comes later leaves what the other has written. A frozen wallet's months stay open until it is
 * unfrozen.
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
import type { Queryable, Sql } from '../persistence/connection.ts';
import {
  addUpAhead,
  atOneInstant,
  dropDrafts,
  statementFigures,
  type WalletMonth,
} from '../persistence/reports/statement-figures.ts';
import {
  endMonths,
  findStatedWallets,
  insertStatements,
  isClosedAlready,
  lockStatedWallet,
  noteNextClose,
  type StatedWallet,
  type StoredStatement,
} from '../persistence/reports/statements.ts';
import { WalletBusy } from './outcome.ts';
import type { Services } from './services.ts';
import { ROUNDS_OF_A_READ, settleWallet } from './settle-wallets.ts';

/** Months that are closed at once: ten years. */
const AT_ONCE = 120;

type Closing = Pick<Services, 'sql' | 'engine'>;

/** Closes at most so many months. Answers whether there may be more. */
export async function closeMonths(services: Closing, tenant: Tenant): Promise<{ readonly unfinished: boolean }> {
  const { sql, engine } = services;
  if (!(await settleWallet(engine, tenant, ROUNDS_OF_A_READ))) throw new WalletBusy();
  const [before] = await findStatedWallets(sql, [tenant.organizationId]);
  if (!before || before.frozen) return { unfinished: false };
  // Long months are added up in steps, each of which is kept; little is left of them for the one statement that closes.
  await addUpAhead(sql, ofWallet(before, closableMonths(before, before.dueAt).slice(0, AT_ONCE)));
  const ended = await sql.begin((tx) => endMonthsOf(tx, tenant));
  if (!ended) return { unfinished: false };
  const closed = await stateMonths(sql, ended);
  if (!closed) return { unfinished: true };
  try {
    return await sql.begin((tx) => keepClosed(tx, tenant, closed));
  } catch (error) {
    if (isClosedAlready(error)) return { unfinished: true };
    throw error;
  }
}

/** Months that nothing is posted to any more, of the wallet as it was when they were ended. */
interface EndedMonths {
  readonly wallet: StatedWallet;
  readonly months: readonly StatedMonth[];
}

/** Null where there is nothing to close. */
async function endMonthsOf(tx: Queryable, tenant: Tenant): Promise<EndedMonths | null> {
  const wallet = await lockStatedWallet(tx, tenant);
  if (!wallet || wallet.frozen) return null;
  const months = closableMonths(wallet, wallet.dueAt).slice(0, AT_ONCE);
  const last = months.at(-1);
  if (last) {
    await endMonths(tx, wallet.walletId, last.end);
    return { wallet, months };
  }
  if ((await noteNextOf(tx, wallet)).unfinished) throw new WalletBusy();
  return null;
}

interface ClosedMonth extends StoredStatement {
  readonly statement: Statement;
}

/** The statements of the months, all read as it stood at one instant; null where they are closed or the wallet is frozen by then. */
function stateMonths(sql: Sql, { wallet, months }: EndedMonths): Promise<ClosedMonth[] | null> {
  return atOneInstant(sql, async (tx) => {
    const [seen] = await findStatedWallets(tx, [wallet.organizationId]);
    if (!seen || seen.frozen || seen.closedUntil !== wallet.closedUntil) return null;
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
  });
}

/**
 * The statements come first: they keep batches off the wallet only from their end on, to which they refer. A lock of the
 * wallet that was taken then would wait for whoever waits for this one.
 */
async function keepClosed(tx: Queryable, tenant: Tenant, closed: readonly ClosedMonth[]) {
  await insertStatements(tx, closed);
  const [wallet] = await findStatedWallets(tx, [tenant.organizationId]);
  const last = closed.at(-1);
  if (!wallet?.closedUntil || !last) throw new Error('a wallet whose months were closed has statements');
  await dropDrafts(tx, wallet.walletId, last.statement.month);
  return noteNextOf(tx, wallet);
}

/** Notes when the wallet's next month ends. Answers whether it has. */
async function noteNextOf(tx: Queryable, wallet: StatedWallet): Promise<{ readonly unfinished: boolean }> {
  const [next] = unclosedMonths(wallet);
  if (!next) throw new Error('there is always a month that runs');
  await noteNextClose(tx, wallet.walletId, next.end);
  return { unfinished: next.end <= wallet.now };
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
