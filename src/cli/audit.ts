/** `purser audit`: asks the books of a database every invariant, and tells of each how many rows break it. */
import { type AuditedInvariant, auditBooks as audit } from '../operations/audit-books.ts';
import { INVARIANTS } from '../persistence/invariants/all-invariants.ts';
import { CommandFailed } from './command-failed.ts';
import { withDatabase } from './with-database.ts';

const WIDTH = Math.max(...INVARIANTS.map(({ name }) => name.length));

/** Fails where an invariant does not hold. */
export async function auditBooks(): Promise<void> {
  const broken: string[] = [];
  process.stdout.write(`${'invariant'.padEnd(WIDTH)}  rows offending          ms\n`);
  await withDatabase((sql) =>
    audit(sql, (audited) => {
      if (audited.count > 0) broken.push(audited.name);
      process.stdout.write(linesOf(audited));
    }),
  );
  if (broken.length > 0) throw new CommandFailed([`purser: the books do not hold: ${broken.join('; ')}`]);
  process.stdout.write('the books hold\n');
}

function linesOf({ name, count, offences, milliseconds }: AuditedInvariant): string {
  const lines = [`${name.padEnd(WIDTH)}  ${String(count).padStart(14)}  ${milliseconds.toFixed(1).padStart(10)}`];
  for (const { walletId, subject, expected, found } of offences) {
    lines.push(`  wallet ${walletId}: ${subject}: ${expected ?? '-'} expected, ${found ?? '-'} found`);
  }
  if (count > offences.length) lines.push(`  and ${count - offences.length} more`);
  return `${lines.join('\n')}\n`;
}
