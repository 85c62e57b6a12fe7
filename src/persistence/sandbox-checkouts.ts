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
  /** What happened to the payment later, each by the id of the event that tells of it; null where it did not. */
  readonly refundEventId: string | null;
  readonly disputeEventId: string | null;
  readonly verdict: SandboxVerdict | null;
  readonly verdictEventId: string | null;
}

export type SandboxVerdict = 'WON' | 'LOST';

interface Row {
  token: string;
  purchase_id: string;
  description: string;
  amount_minor: bigint;
  currency: string;
  outcome: SandboxOutcome | null;
  event_id: string | null;
  refund_event_id: string | null;
  dispute_event_id: string | null;
  verdict: SandboxVerdict | null;
  verdict_event_id: string | null;
}

/** The checkout of a purchase: the given one, or the one that was there already. */
export async function insertCheckout(
  sql: Queryable,
  checkout: Pick<SandboxCheckout, 'token' | 'purchaseId' | 'description' | 'amountMinor' | 'currency'>,
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

/** Gives a payment back once; what was not paid, is disputed or was lost cannot be. */
export async function refundCheckout(sql: Queryable, token: string, eventId: string): Promise<SandboxCheckout | null> {
  await sql`
    UPDATE sandbox_checkout SET refund_event_id = ${eventId}
    WHERE token = ${token} AND outcome = 'PAID' AND refund_event_id IS NULL
      AND (dispute_event_id IS NULL OR verdict = 'WON')`;
  return findCheckout(sql, token);
}

/** Disputes a payment once, unless it was given back. */
export async function disputeCheckout(sql: Queryable, token: string, eventId: string): Promise<SandboxCheckout | null> {
  await sql`
    UPDATE sandbox_checkout SET dispute_event_id = ${eventId}
    WHERE token = ${token} AND outcome = 'PAID' AND dispute_event_id IS NULL AND refund_event_id IS NULL`;
  return findCheckout(sql, token);
}

/** Ends an open dispute, for good. */
export async function judgeCheckout(
  sql: Queryable,
  token: string,
  verdict: SandboxVerdict,
  eventId: string,
): Promise<SandboxCheckout | null> {
  await sql`
    UPDATE sandbox_checkout SET verdict = ${verdict}, verdict_event_id = ${eventId}
    WHERE token = ${token} AND dispute_event_id IS NOT NULL AND verdict IS NULL`;
  return findCheckout(sql, token);
}

/** The token of a purchase's checkout; null where it has none. */
export async function tokenOfPurchase(sql: Queryable, purchaseId: string): Promise<string | null> {
  const [row] = await sql<{ token: string }[]>`SELECT token FROM sandbox_checkout WHERE purchase_id = ${purchaseId}`;
  return row?.token ?? null;
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
    refundEventId: row.refund_event_id,
    disputeEventId: row.dispute_event_id,
    verdict: row.verdict,
    verdictEventId: row.verdict_event_id,
  };
}
