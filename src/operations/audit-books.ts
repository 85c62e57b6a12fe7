/**
 * Asks every invariant of the books, and walks every hash chain: what `purser audit` does. The queries see one moment of
 * the database, however long they take, and lock nothing.
 */
import { inSnapshot, type Sql } from '../persistence/connection.ts';
import { INVARIANTS } from '../persistence/invariants/all-invariants.ts';
import { findOffences, type Offence } from '../persistence/invariants/find-offences.ts';
import { type BrokenChain, verifyLedgers } from './verify-ledger.ts';

export const UNBROKEN_CHAIN = 'hash chain unbroken';

/** How many offending rows are told in full. */
const SHOWN = 5;

export interface AuditedInvariant {
  readonly name: string;
  /** Rows that offend. */
  readonly count: number;
  /** The first of them. */
  readonly offences: readonly Offence[];
  readonly milliseconds: number;
}

/** Tells of each invariant as soon as it has been asked; of these wallets alone where they are given. */
export async function auditBooks(
  sql: Sql,
  tell: (audited: AuditedInvariant) => void,
  walletIds: readonly string[] | null = null,
): Promise<void> {
  await inSnapshot(sql, async (tx) => {
    for (const invariant of INVARIANTS) {
      const began = performance.now();
      const findings = await findOffences(tx, invariant, walletIds, SHOWN);
      tell({ name: invariant.name, ...findings, milliseconds: performance.now() - began });
    }
  });
  const began = performance.now();
  const broken: BrokenChain[] = [];
  for (const walletId of walletIds ?? [null]) {
    for await (const verified of verifyLedgers(sql, walletId)) if (verified.broken) broken.push(verified.broken);
  }
  tell({
    name: UNBROKEN_CHAIN,
    count: broken.length,
    offences: broken.slice(0, SHOWN).map(offenceOf),
    milliseconds: performance.now() - began,
  });
}

export const offenceOf = ({ walletId, sequence, what, expected, found }: BrokenChain): Offence => ({
  walletId,
  subject: `entry ${sequence}, its ${what}`,
  expected,
  found,
});
