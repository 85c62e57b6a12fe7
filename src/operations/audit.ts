/**
 * Makes the audit entry of an operation: every change outside the ledger leaves one. What people should read about it becomes
 * an activity in the same transaction; it is the last thing that an operation locks. Those who watch are told after the commit: a
 * notification within a transaction makes commits wait for one another, and other operations with them for what it has locked.
 */

import { NO_WORK } from '../domain/activity/activity.ts';
import { activityOfAudit } from '../domain/activity/activity-of-audit.ts';
import type { JsonObject } from '../domain/canonical.ts';
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import { insertAudit } from '../persistence/audit.ts';
import type { Transaction } from '../persistence/connection.ts';
import { findTenant } from '../persistence/organizations.ts';
import { writeActivities } from '../persistence/reports/activities.ts';
import type { Services } from './services.ts';

export type AuditServices = Pick<Services, 'newId' | 'requestId' | 'feed'>;

export interface Audited {
  readonly organizationId: string | null;
  readonly action: string;
  readonly before?: JsonObject;
  readonly after?: JsonObject;
}

/** Runs in the operation's own transaction, so that there is no change without its record. */
export async function audit(
  { newId, requestId, feed }: AuditServices,
  tx: Transaction,
  caller: SignedInCaller,
  { organizationId, action, before, after }: Audited,
): Promise<void> {
  const actor = actorOf(caller);
  const change = { action, before: before ?? null, after: after ?? null };
  await insertAudit(tx, { id: newId(), organizationId, actor, ...change, requestId });
  const told = activityOfAudit(change);
  if (told === null || organizationId === null) return;
  await writeActivities(tx, [{ organizationId, actor, ...told, credits: null, work: NO_WORK, occurredAt: null }]);
  const tenant = await findTenant(tx, organizationId);
  if (tenant) tx.afterCommit(() => feed.published([tenant]));
}
