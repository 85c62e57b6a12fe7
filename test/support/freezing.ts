/** Wallets that are damaged, and the self-audit that freezes them. */
import { type Logger, pino } from 'pino';
import { SelfAuditor } from '../../src/operations/self-audit.ts';
import { query } from './books.ts';
import type { TestGateway } from './gateway.ts';

/** An auditor of the test's own, with what it told. */
export function anAuditor({ gateway }: TestGateway) {
  const { sql, newId } = gateway.services;
  const told = { wallets: 0, entries: 0, swept: 0, offended: [] as string[], frozen: 0 };
  const log: { level: number; walletId: string; invariant: string }[] = [];
  const logger: Logger = pino({ level: 'warn' }, { write: (line: string) => log.push(JSON.parse(line)) });
  const auditor = new SelfAuditor(
    { sql, newId, logger },
    {
      checked: (wallets, entries) => {
        told.wallets += wallets;
        told.entries += entries;
      },
      swept: (count) => {
        told.swept += count;
      },
      offended: (invariant) => told.offended.push(invariant),
      froze: () => {
        told.frozen += 1;
      },
    },
  );
  return { auditor, told, log };
}

const RUNNING = new AbortController().signal;

/** Runs until everything has been looked at. */
export async function auditAll(auditor: SelfAuditor): Promise<void> {
  for (let run = 0; run < 100; run++) if ((await auditor.run(RUNNING)).roundEnded) return;
  throw new Error('the audit never came to an end');
}

/** Changes the books behind the triggers' back. */
export async function damage(gateway: TestGateway, update: string, values: readonly unknown[]): Promise<void> {
  await query(
    gateway.database,
    `DO $$ BEGIN PERFORM set_config('session_replication_role', 'replica', true); ${update.replace(
      /\$(\d)/g,
      (_, place) => `'${String(values[Number(place) - 1])}'`,
    )}; END $$`,
  );
}

/** When the wallet was frozen, and what its audit trail says of it. */
export async function frozenState(gateway: TestGateway, walletId: string) {
  const [wallet] = await query<{ frozen: boolean; organization_id: string }>(
    gateway.database,
    'SELECT frozen_at IS NOT NULL AS frozen, organization_id FROM wallet WHERE id = $1',
    [walletId],
  );
  const records = await query<{ actor: string; before: object; after: { invariant?: string } }>(
    gateway.database,
    `SELECT actor_kind || ' ' || actor_id AS actor, before, after FROM audit_record
     WHERE organization_id = $1 AND action = 'freezeWallet' ORDER BY occurred_at, id`,
    [wallet?.organization_id],
  );
  return { frozen: wallet?.frozen, records };
}
