/** Purchases before money is paid for them; what follows payment is the posting engine's. */
import type { Tenant } from '../../domain/identity/caller.ts';
import type { NewPurchase } from '../../domain/posting/new-purchase.ts';
import type { PurchaseStatus } from '../../domain/purchases/purchase.ts';
import { amounts, instants } from '../columns.ts';
import type { Queryable } from '../connection.ts';

/** Null where there is none to insert. */
export function insertPurchases(sql: Queryable, rows: readonly NewPurchase[]) {
  if (rows.length === 0) return null;
  return sql`
    INSERT INTO purchase (id, organization_id, kind, status, description, package_key, catalog_version, credits_micros,
      bonus_micros, bucket_key, expires_after_days, plan_key, plan_purpose, from_plan_key, plan_period_start, price_minor,
      currency, provider, off_session, actor_kind, actor_id, created_at)
    SELECT id, organization_id, kind, 'PENDING', description, package_key, catalog_version, credits, bonus, bucket_key,
      expires_after_days, plan_key, purpose, from_plan_key, period_start, price, currency, provider, off_session,
      actor_kind, actor_id, created_at
    FROM unnest(
      ${rows.map((row) => row.id)}::uuid[],
      ${rows.map((row) => row.organizationId)}::uuid[],
      ${rows.map((row) => row.kind)}::"PurchaseKind"[],
      ${rows.map((row) => row.description)}::text[],
      ${rows.map((row) => row.packageKey)}::text[],
      ${rows.map((row) => row.catalogVersion)}::int[],
      ${amounts(rows.map((row) => row.credits))}::bigint[],
      ${amounts(rows.map((row) => row.bonusCredits))}::bigint[],
      ${rows.map((row) => row.bucketKey)}::text[],
      ${rows.map((row) => row.expiresAfterDays)}::int[],
      ${rows.map(({ plan }) => plan?.planKey ?? null)}::text[],
      ${rows.map(({ plan }) => plan?.purpose ?? null)}::text[],
      ${rows.map(({ plan }) => plan?.fromPlanKey ?? null)}::text[],
      ${instants(rows.map(({ plan }) => plan?.periodStart ?? null))}::timestamptz[],
      ${amounts(rows.map((row) => row.price.amountMinor))}::bigint[],
      ${rows.map((row) => row.price.currency)}::text[],
      ${rows.map((row) => row.provider)}::text[],
      ${rows.map((row) => row.isOffSession)}::boolean[],
      ${rows.map((row) => row.actor.kind)}::"ActorKind"[],
      ${rows.map((row) => row.actor.id)}::text[],
      ${instants(rows.map((row) => row.createdAt))}::timestamptz[]
    ) AS begun (id, organization_id, kind, description, package_key, catalog_version, credits, bonus, bucket_key,
      expires_after_days, plan_key, purpose, from_plan_key, period_start, price, currency, provider, off_session,
      actor_kind, actor_id, created_at)`;
}

interface SoldPurchase {
  readonly status: PurchaseStatus;
  readonly description: string;
  readonly amountMinor: bigint;
  readonly currency: string;
}

export interface UnopenedPurchase extends SoldPurchase {
  /** Why the provider opened no checkout for one that is FAILED, where it said so. */
  readonly declineCode: string | null;
}

/** What a checkout must ask for, as it was sold; null once the purchase has a checkout, and where another provider began it. */
export async function findUnopened(
  sql: Queryable,
  purchaseId: string,
  provider: string,
): Promise<UnopenedPurchase | null> {
  const [row] = await sql<
    {
      status: PurchaseStatus;
      decline_code: string | null;
      description: string;
      price_minor: bigint;
      currency: string;
    }[]
  >`
    SELECT status, decline_code, description, price_minor, currency FROM purchase
    WHERE id = ${purchaseId} AND provider = ${provider} AND checkout_url IS NULL`;
  if (!row) return null;
  const { status, decline_code: declineCode, description, price_minor: amountMinor, currency } = row;
  return { status, declineCode, description, amountMinor, currency };
}

/** Keeps the first checkout that the provider made. */
export async function attachCheckout(
  sql: Queryable,
  purchaseId: string,
  checkout: { readonly reference: string; readonly url: string },
): Promise<void> {
  await sql`
    UPDATE purchase SET provider_reference = ${checkout.reference}, checkout_url = ${checkout.url}
    WHERE id = ${purchaseId} AND checkout_url IS NULL`;
}

export interface OffSessionPurchase extends SoldPurchase {
  /** The provider's own id of the charge; null until it has answered. */
  readonly reference: string | null;
}

/** What a charge must ask for; null for what is paid at a checkout, and where another provider was asked. */
export async function findOffSession(
  sql: Queryable,
  purchaseId: string,
  provider: string,
): Promise<OffSessionPurchase | null> {
  const [row] = await sql<
    {
      status: PurchaseStatus;
      description: string;
      price_minor: bigint;
      currency: string;
      provider_reference: string | null;
    }[]
  >`
    SELECT status, description, price_minor, currency, provider_reference FROM purchase
    WHERE id = ${purchaseId} AND provider = ${provider} AND off_session`;
  if (!row) return null;
  const { status, description, price_minor: amountMinor, currency, provider_reference: reference } = row;
  return { status, description, amountMinor, currency, reference };
}

/** Keeps the first reference that the provider gave. */
export async function keepReference(sql: Queryable, purchaseId: string, reference: string): Promise<void> {
  await sql`
    UPDATE purchase SET provider_reference = ${reference} WHERE id = ${purchaseId} AND provider_reference IS NULL`;
}

/** Whose purchase it is; null for an unknown one, and for one of another provider where one is named. */
export async function tenantOfPurchase(
  sql: Queryable,
  purchaseId: string,
  provider: string | null = null,
): Promise<Tenant | null> {
  const [row] = await sql<{ organization_id: string; wallet_id: string }[]>`
    SELECT p.organization_id, w.id AS wallet_id
    FROM purchase p JOIN wallet w ON w.organization_id = p.organization_id
    WHERE p.id = ${purchaseId} AND (${provider}::text IS NULL OR p.provider = ${provider})`;
  return row ? { organizationId: row.organization_id, walletId: row.wallet_id } : null;
}

export interface RefundableOfPurchase {
  readonly status: PurchaseStatus;
  /** True while the provider's answer to a refund is awaited. */
  readonly isRequested: boolean;
  /** Why it declined the last one, where it said so. */
  readonly declineCode: string | null;
  /** The provider's own id of the checkout. */
  readonly reference: string | null;
  readonly amountMinor: bigint;
  readonly currency: string;
}

/** What a refund must ask for, as it was paid. */
export async function findRefundable(sql: Queryable, purchaseId: string): Promise<RefundableOfPurchase | null> {
  const [row] = await sql<
    {
      status: PurchaseStatus;
      is_requested: boolean;
      decline_code: string | null;
      provider_reference: string | null;
      price_minor: bigint;
      currency: string;
    }[]
  >`
    SELECT status, refund_requested_at IS NOT NULL AS is_requested, decline_code, provider_reference, price_minor, currency
    FROM purchase WHERE id = ${purchaseId}`;
  if (!row) return null;
  const { status, is_requested: isRequested, decline_code: declineCode, provider_reference: reference } = row;
  return { status, isRequested, declineCode, reference, amountMinor: row.price_minor, currency: row.currency };
}

export async function isWalletFrozen(sql: Queryable, walletId: string): Promise<boolean> {
  const rows = await sql`SELECT 1 FROM wallet WHERE id = ${walletId} AND frozen_at IS NOT NULL`;
  return rows.length > 0;
}
