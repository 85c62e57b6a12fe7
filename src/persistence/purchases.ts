/** Purchases before money is paid for them; what follows payment is the posting engine's. */
import type { Actor } from '../domain/actor.ts';
import { type Micros, micros } from '../domain/credits/micros.ts';
import type { Queryable } from './connection.ts';

export interface NewPurchase {
  readonly id: string;
  readonly organizationId: string;
  readonly packageKey: string;
  readonly catalogVersion: number;
  readonly credits: Micros;
  readonly bonusCredits: Micros;
  readonly bucketKey: string;
  readonly expiresAfterDays: number | null;
  readonly priceMinor: bigint;
  readonly currency: string;
  readonly provider: string;
  readonly actor: Actor;
}

/** Stamped with the organization's clock. */
export async function insertPurchase(sql: Queryable, purchase: NewPurchase): Promise<void> {
  await sql`
    INSERT INTO purchase (id, organization_id, kind, status, package_key, catalog_version, credits_micros, bonus_micros,
      bucket_key, expires_after_days, price_minor, currency, provider, actor_kind, actor_id, created_at)
    SELECT ${purchase.id}, o.id, 'PACKAGE', 'PENDING', ${purchase.packageKey}, ${purchase.catalogVersion},
      ${purchase.credits.toString()}, ${purchase.bonusCredits.toString()}, ${purchase.bucketKey},
      ${purchase.expiresAfterDays}, ${purchase.priceMinor.toString()}, ${purchase.currency}, ${purchase.provider},
      ${purchase.actor.kind}::"ActorKind", ${purchase.actor.id},
      clock_timestamp() + coalesce(o.test_clock_offset_ms, 0) * interval '1 millisecond'
    FROM organization o
    WHERE o.id = ${purchase.organizationId}`;
}

/** What a checkout must ask for, as it was sold; null once the purchase has a checkout. */
export async function findUnopened(
  sql: Queryable,
  purchaseId: string,
): Promise<{ credits: Micros; bonusCredits: Micros; amountMinor: bigint; currency: string } | null> {
  const [row] = await sql<{ credits_micros: bigint; bonus_micros: bigint; price_minor: bigint; currency: string }[]>`
    SELECT credits_micros, bonus_micros, price_minor, currency FROM purchase
    WHERE id = ${purchaseId} AND checkout_url IS NULL`;
  if (!row) return null;
  const { credits_micros: credits, bonus_micros: bonus, price_minor: amountMinor, currency } = row;
  return { credits: micros(credits), bonusCredits: micros(bonus), amountMinor, currency };
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

/** The wallet that a purchase's credits go to; null for an unknown purchase. */
export async function walletOfPurchase(
  sql: Queryable,
  purchaseId: string,
  provider: string,
): Promise<{ organizationId: string; walletId: string } | null> {
  const [row] = await sql<{ organization_id: string; wallet_id: string }[]>`
    SELECT p.organization_id, w.id AS wallet_id
    FROM purchase p JOIN wallet w ON w.organization_id = p.organization_id
    WHERE p.id = ${purchaseId} AND p.provider = ${provider}`;
  return row ? { organizationId: row.organization_id, walletId: row.wallet_id } : null;
}

export async function isWalletFrozen(sql: Queryable, walletId: string): Promise<boolean> {
  const rows = await sql`SELECT 1 FROM wallet WHERE id = ${walletId} AND frozen_at IS NOT NULL`;
  return rows.length > 0;
}
