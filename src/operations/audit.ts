/** Makes the audit entry of an operation: every change outside the ledger leaves one. */
import { actorOf, type SignedInCaller } from '../domain/identity/caller.ts';
import type { JsonObject } from '../domain/ledger/canonical.ts';
import { insertAudit } from '../persistence/audit.ts';
import type { Queryable } from '../persistence/connection.ts';
import type { Services } from './services.ts';

export interface Audited {
  readonly organizationId: string | null;
  readonly action: string;
  readonly before?: JsonObject;
  readonly after?: JsonObject;
}

/** Runs in the operation's own transaction, so that there is no change without its record. */
export async function audit(
  { newId, requestId }: Pick<Services, 'newId' | 'requestId'>,
  sql: Queryable,
  caller: SignedInCaller,
  { organizationId, action, before, after }: Audited,
): Promise<void> {
  await insertAudit(sql, {
    id: newId(),
    organizationId,
    action,
    actor: actorOf(caller),
    before: before ?? null,
    after: after ?? null,
    requestId,
  });
}
