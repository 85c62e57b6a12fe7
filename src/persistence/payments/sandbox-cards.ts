/** The cards that organizations have left with the sandbox payment provider. */
import type { Queryable } from '../connection.ts';

/** As requests and rows name them. */
export const SANDBOX_CARDS = ['success', 'declined', 'declined_later', 'requires_action', 'delayed'] as const;

export type SandboxCard = (typeof SANDBOX_CARDS)[number];

/** Null where the organization has left none. */
export async function findCard(sql: Queryable, organizationId: string): Promise<SandboxCard | null> {
  const [row] = await sql<{ card: SandboxCard }[]>`
    SELECT card FROM sandbox_card WHERE organization_id = ${organizationId}`;
  return row?.card ?? null;
}

/** Replaces the card of an organization that exists. */
export async function keepCard(sql: Queryable, organizationId: string, card: SandboxCard): Promise<void> {
  await sql`
    INSERT INTO sandbox_card (organization_id, card) VALUES (${organizationId}, ${card})
    ON CONFLICT (organization_id) DO UPDATE SET card = excluded.card, changed_at = now()`;
}
