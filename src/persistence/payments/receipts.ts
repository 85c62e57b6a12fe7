/** Receipts as their page shows them, found by the token of their URL. */
import type { ActorKind } from '../../domain/actor.ts';
import { type Micros, micros } from '../../domain/credits/micros.ts';
import type { PurchaseStatus } from '../../domain/purchases/purchase.ts';
import type { Instant } from '../../domain/time/instant.ts';
import { zoneAt } from '../../domain/time/zone.ts';
import type { Queryable } from '../connection.ts';
import { ZONE_COLUMNS, type ZoneRow, zoneOfRow } from '../time-zones.ts';

export interface ReceiptEntry {
  readonly sequence: bigint;
  readonly transactionId: string;
  readonly reasonCode: string;
  /** Signed: negative for what was taken back. */
  readonly amount: Micros;
}

export interface Receipt {
  readonly purchaseId: string;
  readonly status: PurchaseStatus;
  readonly issuer: string;
  readonly sequence: bigint;
  readonly description: string;
  readonly credits: Micros;
  readonly bonusCredits: Micros;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly invoiceId: string | null;
  readonly paidAt: Instant;
  /** Who bought it, for people. */
  readonly buyer: string;
  /** With the zone that was in force when it was paid. */
  readonly organization: { readonly slug: string; readonly name: string; readonly timeZone: string };
  readonly entries: readonly ReceiptEntry[];
}

interface ReceiptRow extends ZoneRow {
  id: string;
  status: PurchaseStatus;
  receipt_issuer: string;
  receipt_sequence: bigint;
  description: string;
  credits_micros: bigint;
  bonus_micros: bigint;
  price_minor: bigint;
  currency: string;
  provider_reference: string | null;
  paid_at: Instant;
  actor_kind: ActorKind;
  user_name: string | null;
  user_email: string | null;
  key_name: string | null;
  slug: string;
  name: string;
}

interface EntryRow {
  sequence: bigint;
  transaction_id: string;
  reason_code: string;
  amount_micros: bigint;
}

/** Null for a token that opens no receipt, that of an unpaid purchase included. */
export async function findReceipt(sql: Queryable, token: string): Promise<Receipt | null> {
  const [row] = await sql<ReceiptRow[]>`
    SELECT p.id, p.status, p.receipt_issuer, p.receipt_sequence, p.description, p.credits_micros, p.bonus_micros,
           p.price_minor, p.currency, p.provider_reference, p.paid_at, p.actor_kind, o.slug, o.name, ${ZONE_COLUMNS},
           u.name AS user_name, u.email AS user_email, k.name AS key_name
    FROM purchase p
    JOIN organization o ON o.id = p.organization_id
    LEFT JOIN user_account u ON p.actor_kind = 'USER' AND u.id = p.actor_id
    LEFT JOIN api_key k ON p.actor_kind = 'API_KEY' AND k.id::text = p.actor_id
    WHERE p.receipt_token = ${token} AND p.paid_at IS NOT NULL`;
  if (!row) return null;
  const entries = await sql<EntryRow[]>`
    SELECT e.sequence, e.transaction_id, e.reason_code,
           CASE e.direction WHEN 'CREDIT' THEN e.amount_micros ELSE -e.amount_micros END AS amount_micros
    FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
    WHERE t.purchase_id = ${row.id}
    ORDER BY e.sequence`;
  return {
    purchaseId: row.id,
    status: row.status,
    issuer: row.receipt_issuer,
    sequence: row.receipt_sequence,
    description: row.description,
    credits: micros(row.credits_micros),
    bonusCredits: micros(row.bonus_micros),
    amountMinor: row.price_minor,
    currency: row.currency,
    invoiceId: row.provider_reference,
    paidAt: row.paid_at,
    buyer: buyerOf(row),
    organization: { slug: row.slug, name: row.name, timeZone: zoneAt(zoneOfRow(row), row.paid_at) },
    entries: entries.map((entry) => ({
      sequence: entry.sequence,
      transactionId: entry.transaction_id,
      reasonCode: entry.reason_code,
      amount: micros(entry.amount_micros),
    })),
  };
}

function buyerOf({ actor_kind: kind, user_name: name, user_email: email, key_name: key }: ReceiptRow): string {
  if (kind === 'USER') return name && email && name !== email ? `${name} (${email})` : (name ?? email ?? 'a member');
  if (kind === 'API_KEY') return `API key ${key ?? ''}`.trim();
  return 'by itself';
}
