/** What the sandbox provider's portal shows of an organization. */
import type { PurchaseStatus } from '../../domain/purchases/purchase.ts';
import type { Queryable } from '../connection.ts';

export interface Payment {
  readonly description: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly status: PurchaseStatus;
  /** Null until it is paid. */
  readonly receiptToken: string | null;
}

export interface Portal {
  readonly name: string;
  /** The newest ones, newest first. */
  readonly payments: readonly Payment[];
}

interface PaymentRow {
  description: string;
  price_minor: bigint;
  currency: string;
  status: PurchaseStatus;
  receipt_token: string | null;
}

/** Null for an unknown organization. */
export async function findPortal(
  sql: Queryable,
  organizationId: string,
  provider: string,
  most: number,
): Promise<Portal | null> {
  const [organization] = await sql<{ name: string }[]>`SELECT name FROM organization WHERE id = ${organizationId}`;
  if (!organization) return null;
  const rows = await sql<PaymentRow[]>`
    SELECT description, price_minor, currency, status, CASE WHEN paid_at IS NOT NULL THEN receipt_token END AS receipt_token
    FROM purchase
    WHERE organization_id = ${organizationId} AND provider = ${provider}
    ORDER BY created_at DESC, id DESC
    LIMIT ${most}`;
  const payments = rows.map(({ price_minor: amountMinor, receipt_token: receiptToken, ...row }) => ({
    ...row,
    amountMinor,
    receiptToken,
  }));
  return { name: organization.name, payments };
}
