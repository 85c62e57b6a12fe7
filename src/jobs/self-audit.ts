/**
 * Checks all books for ever, a little at a time: a run a second while there is something left to look at, and one every few
 * seconds once a round has ended. A run that took long is followed by a longer pause, so that the audit never takes more
 * than a part of one connection.
 */
import { Counter, type Registry } from 'prom-client';
import { instant } from '../domain/time/instant.ts';
import { type AuditObserver, SelfAuditor } from '../operations/self-audit.ts';
import type { Services } from '../operations/services.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Job } from './job.ts';

const PAUSE_MILLISECONDS = 1_000;
const PAUSE_BETWEEN_ROUNDS_MILLISECONDS = 5_000;
/** How many times as long as a run takes nothing is run after it. */
const REST = 4;

export function selfAudit(services: Services, metrics: Registry): Job {
  const auditor = new SelfAuditor(services, countersIn(metrics));
  return {
    name: 'self-audit',
    async run(signal) {
      const began = performance.now();
      const { roundEnded } = await auditor.run(signal);
      const rest = Math.ceil((performance.now() - began) * REST);
      const pause = roundEnded ? PAUSE_BETWEEN_ROUNDS_MILLISECONDS : PAUSE_MILLISECONDS;
      return instant((await databaseNow(services.sql)) + Math.max(rest, pause));
    },
  };
}

function countersIn(registry: Registry): AuditObserver {
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] });
  const wallets = counter('purser_audit_wallets_total', 'Wallets that the self-audit has looked at.');
  const entries = counter('purser_audit_entries_total', 'Ledger entries whose hashes the self-audit has computed.');
  const sweeps = counter('purser_audit_sweeps_total', 'Wallets of which the self-audit has asked about all history.');
  const frozen = counter('purser_audit_frozen_wallets_total', 'Wallets that the self-audit has frozen.');
  const offences = new Counter({
    name: 'purser_audit_offences_total',
    help: 'Invariants that did not hold for a wallet, as seen under its lock where it is frozen for them.',
    labelNames: ['invariant'],
    registers: [registry],
  });
  return {
    checked: (walletCount, entryCount) => {
      wallets.inc(walletCount);
      entries.inc(entryCount);
    },
    swept: (count) => sweeps.inc(count),
    offended: (invariant) => offences.inc({ invariant }),
    froze: () => frozen.inc(),
  };
}
