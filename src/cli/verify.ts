/** `purser verify`: walks the hash chain of one wallet, or of all, and names the first link that is broken. */
import { verifyLedgers } from '../operations/verify-ledger.ts';
import type { Sql } from '../persistence/connection.ts';
import { findWalletId } from '../persistence/ledger-chain.ts';
import { CommandFailed } from './command-failed.ts';
import { withDatabase } from './with-database.ts';

/** All of them without a name. Fails where a chain is broken. */
export async function verifyChains(name: string): Promise<void> {
  const began = performance.now();
  const { wallets, entries, broken } = await withDatabase((sql) => verify(sql, name));
  const seconds = (performance.now() - began) / 1_000;
  const walked = `${entries} entries of ${wallets} wallets in ${seconds.toFixed(1)} s, ${Math.round(Number(entries) / seconds)} entries/s`;
  if (broken.length > 0)
    throw new CommandFailed([...broken, `purser: ${broken.length} of ${wallets} chains broken: ${walked}`]);
  process.stdout.write(`every link holds: ${walked}\n`);
}

interface Verified {
  readonly wallets: number;
  readonly entries: bigint;
  /** A line for each chain that is broken. */
  readonly broken: readonly string[];
}

async function verify(sql: Sql, name: string): Promise<Verified> {
  const walletId = name === '' ? null : await findWalletId(sql, name);
  if (walletId === null && name !== '')
    throw new CommandFailed([`purser: there is no wallet or organization ${name}.`]);
  const broken: string[] = [];
  let wallets = 0;
  let entries = 0n;
  for await (const ledger of verifyLedgers(sql, walletId)) {
    wallets += 1;
    entries += ledger.entries;
    if (!ledger.broken) continue;
    const { sequence, what, expected, found } = ledger.broken;
    broken.push(
      `wallet ${ledger.walletId}: broken at entry ${sequence}, its ${what}: ${expected} expected, ${found} found`,
    );
  }
  return { wallets, entries, broken };
}
