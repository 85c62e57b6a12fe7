/** The sandbox payment provider's memory of its checkouts and charges. */
import type { Queryable } from '../connection.ts';
import type { SandboxCard } from './sandbox-cards.ts';

export type SandboxOutcome = 'PAID' | 'DECLINED' | 'CANCELED';

/** How far a payment without an outcome is: OPEN to be paid, CONFIRMING by its payer, or UNDER_WAY with its money. */
export type SandboxStage = 'OPEN' | 'CONFIRMING' | 'UNDER_WAY';

export interface SandboxCheckout {
  readonly token: string;
  readonly purchaseId: string;
  readonly description: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  /** The card that was used; null before one was and where the payer named none. */
  readonly card: SandboxCard | null;
  /** True for what was charged while nobody was there to pay. */
  readonly offSession: boolean;
  readonly stage: SandboxStage;
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
  card: SandboxCard | null;
  off_session: boolean;
  stage: SandboxStage;
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

/**
 * The charge of a purchase by the card, with what has become of it: the given one, or the one that was there already,
 * whatever its card was.
 */
export async function insertCharge(
  sql: Queryable,
  charge: Pick<
    SandboxCheckout,
    'token' | 'purchaseId' | 'description' | 'amountMinor' | 'currency' | 'stage' | 'outcome'
  > & { readonly card: SandboxCard; readonly eventId: string },
): Promise<SandboxCheckout> {
  const eventId = charge.outcome === null ? null : charge.eventId;
  const [row] = await sql<Row[]>`
    INSERT INTO sandbox_checkout (token, purchase_id, description, amount_minor, currency, card, off_session, stage,
      outcome, event_id, settled_at)
    VALUES (${charge.token}, ${charge.purchaseId}, ${charge.description}, ${charge.amountMinor.toString()},
      ${charge.currency}, ${charge.card}, true, ${charge.stage}, ${charge.outcome}, ${eventId},
      CASE WHEN ${charge.outcome !== null} THEN now() END)
    ON CONFLICT (purchase_id) DO UPDATE SET purchase_id = excluded.purchase_id
    RETURNING *`;
  if (!row) throw new Error('an upsert returns its row');
  return checkoutOf(row);
}

export interface Settlement {
  readonly outcome: SandboxOutcome;
  /** The stages that can end so. */
  readonly from: readonly SandboxStage[];
  /** The card that is used now; null keeps what is known of it. */
  readonly card: SandboxCard | null;
  readonly eventId: string;
}

/**
 * Ends the checkout unless it has ended or is at another stage; answers how things stand then. The card with which a
 * checkout was paid is the organization's from then on.
 */
export async function settleCheckout(
  sql: Queryable,
  token: string,
  { outcome, from, card, eventId }: Settlement,
): Promise<SandboxCheckout | null> {
  await sql`
    WITH settled AS (
      UPDATE sandbox_checkout
      SET outcome = ${outcome}, card = coalesce(${card}::text, card), event_id = ${eventId}, settled_at = now()
      WHERE token = ${token} AND outcome IS NULL AND stage = ANY(${from}::text[])
      RETURNING purchase_id, card, outcome, off_session
    )
    INSERT INTO sandbox_card (organization_id, card)
    SELECT purchase.organization_id, settled.card
    FROM settled JOIN purchase ON purchase.id = settled.purchase_id
    WHERE settled.outcome = 'PAID' AND settled.card IS NOT NULL AND NOT settled.off_session
    ON CONFLICT (organization_id) DO UPDATE SET card = excluded.card, changed_at = now()`;
  return findCheckout(sql, token);
}

/** Lets an open checkout wait, with the card that was used. */
export async function awaitCheckout(
  sql: Queryable,
  token: string,
  card: SandboxCard,
  stage: SandboxStage,
): Promise<SandboxCheckout | null> {
  await sql`
    UPDATE sandbox_checkout SET card = ${card}, stage = ${stage}
    WHERE token = ${token} AND outcome IS NULL AND stage = 'OPEN'`;
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

/** The checkout or charge of a purchase; null where it has none. */
export async function findCheckoutOf(sql: Queryable, purchaseId: string): Promise<SandboxCheckout | null> {
  const [row] = await sql<Row[]>`SELECT * FROM sandbox_checkout WHERE purchase_id = ${purchaseId}`;
  return row ? checkoutOf(row) : null;
}

function checkoutOf(row: Row): SandboxCheckout {
  return {
    token: row.token,
    purchaseId: row.purchase_id,
    description: row.description,
    amountMinor: row.amount_minor,
    currency: row.currency,
    card: row.card,
    offSession: row.off_session,
    stage: row.stage,
    outcome: row.outcome,
    eventId: row.event_id,
    refundEventId: row.refund_event_id,
    disputeEventId: row.dispute_event_id,
    verdict: row.verdict,
    verdictEventId: row.verdict_event_id,
  };
}
