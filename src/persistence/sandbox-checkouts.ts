/** The sandbox payment provider's memory of its checkouts. */
import type { Queryable } from './connection.ts';

export type SandboxOutcome = 'PAID' | 'DECLINED' | 'CANCELED';

export interface SandboxCheckout {
  readonly token: string;
  readonly purchaseId: string;
  readonly description: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly outcome: SandboxOutcome | null;
  readonly eventId: string | null;
}

interface Row {
  token: string;
  purchase_id: string;
  description: string;
  amount_minor: bigint;
  currency: string;
  outcome: SandboxOutcome | null;
  event_id: string | null;
}

/** The checkout of a purchase: the given one, or the one that was there already. */
export async function insertCheckout(
  sql: Queryable,
  checkout: Omit<SandboxCheckout, 'outcome' | 'eventId'>,
): Promise<SandboxCheckout> {
  const [row] = await sql<Row[]>`
    INSERT INTO sandbox_checkout (token, purchase_id, description, amount_minor, currency)
    VALUES (${checkout.token}, ${checkout.purchaseId}, ${checkout.description}, ${checkout.amountMinor.toString()},
      ${checkout.currency})
    ON CONFLICT (purchase_id) DO UPDATE SET purchase_id = excluded.purchase_id
    RETURNING *`;
  if (!row) throw new Error('an upsert returns its row');
  return checkoutOf(row);
}

export async function findCheckout(sql: Queryable, token: string): Promise<SandboxCheckout | null> {
  const [row] = await sql<Row[]>`SELECT * FROM sandbox_checkout WHERE token = ${token}`;
  return row ? checkoutOf(row) : null;
}

/** Ends the checkout unless it has ended; answers how it ended, now or before. */
export async function settleCheckout(
  sql: Queryable,
  token: string,
  outcome: SandboxOutcome,
  eventId: string,
): Promise<SandboxCheckout | null> {
  await sql`
    UPDATE sandbox_checkout SET outcome = ${outcome}, event_id = ${eventId}, settled_at = now()
    WHERE token = ${token} AND outcome IS NULL`;
  return findCheckout(sql, token);
}

function checkoutOf(row: Row): SandboxCheckout {
  return {
    token: row.token,
    purchaseId: row.purchase_id,
    description: row.description,
    amountMinor: row.amount_minor,
    currency: row.currency,
    outcome: row.outcome,
    eventId: row.event_id,
  };
}
