/** Organizations as payment providers know them. */
import type { Queryable } from '../connection.ts';

export interface PaymentCustomer {
  readonly slug: string;
  /** The provider's own id of it; null where it has not heard of the organization yet. */
  readonly reference: string | null;
}

/** Null for an unknown organization. */
export async function findCustomer(
  sql: Queryable,
  organizationId: string,
  provider: string,
): Promise<PaymentCustomer | null> {
  const [row] = await sql<PaymentCustomer[]>`
    SELECT o.slug, c.reference
    FROM organization o LEFT JOIN payment_customer c ON c.organization_id = o.id AND c.provider = ${provider}
    WHERE o.id = ${organizationId}`;
  return row ?? null;
}

/** The reference that is kept: the given one, or the one that was there already. */
export async function keepCustomer(
  sql: Queryable,
  organizationId: string,
  provider: string,
  reference: string,
): Promise<string> {
  const [row] = await sql<{ reference: string }[]>`
    INSERT INTO payment_customer (organization_id, provider, reference)
    VALUES (${organizationId}, ${provider}, ${reference})
    ON CONFLICT (organization_id, provider) DO UPDATE SET provider = excluded.provider
    RETURNING reference`;
  if (!row) throw new Error('an upsert returns its row');
  return row.reference;
}
