/** The audit trail: who changed what, by the organization's clock. Rows are only ever added. */
import type { Actor } from '../domain/actor.ts';
import type { JsonObject } from '../domain/canonical.ts';
import { clockOfOrganization } from './clock.ts';
import type { Queryable } from './connection.ts';

export interface AuditEntry {
  readonly id: string;
  readonly organizationId: string | null;
  /** The mutation's name: "grantCredits". */
  readonly action: string;
  readonly actor: Actor;
  readonly before: JsonObject | null;
  readonly after: JsonObject | null;
  readonly requestId: string | null;
}

export async function insertAudit(sql: Queryable, entry: AuditEntry): Promise<void> {
  await sql`
    INSERT INTO audit_record (id, organization_id, action, actor_kind, actor_id, before, after, request_id, occurred_at)
    VALUES (${entry.id}, ${entry.organizationId}, ${entry.action}, ${entry.actor.kind}, ${entry.actor.id},
      ${jsonText(entry.before)}::text::jsonb, ${jsonText(entry.after)}::text::jsonb, ${entry.requestId},
      ${clockOfOrganization(entry.organizationId)})`;
}

const jsonText = (value: JsonObject | null): string | null => (value === null ? null : JSON.stringify(value));
