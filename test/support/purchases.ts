/** Purchases that tests begin, and charges that nobody is there to pay. */
import { randomUUID } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import type { Tenant } from '../../src/domain/identity/caller.ts';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import { collectPayments } from '../../src/operations/collect-payments.ts';
import type { Services } from '../../src/operations/services.ts';
import {
  BoughtAndKeptDocument,
  PurchasePackageDocument,
  type PurchasePartsFragment,
  PurchasesDocument,
} from '../generated/documents.ts';
import { query } from './books.ts';
import type { TestDatabase } from './database.ts';
import type { TestGateway } from './gateway.ts';
import { aKey, type Given } from './given.ts';
import { tenantOf } from './process-posting.ts';

/** The growth package, 5,000 credits and 500 of bonus for 45.00 USD, that waits for its payment. */
export async function begun({ client }: Pick<Given, 'client'>): Promise<PurchasePartsFragment> {
  const input = { packageId: encodeId('Package', 'growth'), idempotencyKey: aKey() };
  const { purchasePackage } = await client.run(PurchasePackageDocument, { input });
  if (purchasePackage.__typename !== 'PurchasePayload' || !purchasePackage.purchase) throw new Error('not begun');
  return purchasePackage.purchase;
}

export async function purchaseOf({ client, slug }: Given, id: string): Promise<PurchasePartsFragment> {
  const { organization } = await client.run(PurchasesDocument, { slug });
  const found = organization?.purchases?.edges.find(({ node }) => node.id === id)?.node;
  if (!found) throw new Error(`no purchase ${id}`);
  return found;
}

export async function walletOf({ client, slug }: Given) {
  const { organization } = await client.run(BoughtAndKeptDocument, { slug });
  if (!organization?.wallet) throw new Error('no wallet');
  return organization.wallet;
}

/** A top-up of 100 credits for 5.00 USD that is to be charged while nobody is there. */
export async function aDueCharge({ gateway, database }: TestGateway, { id }: Given): Promise<string> {
  const purchaseId = gateway.services.newId();
  await query(
    database,
    `INSERT INTO purchase (id, organization_id, kind, status, description, catalog_version, credits_micros, bonus_micros,
       bucket_key, price_minor, currency, provider, off_session, actor_kind, actor_id, created_at)
     VALUES ($1, $2, 'AUTO_TOP_UP', 'PENDING', 'Top-up: 100 credits', 1, 100000000, 0, 'purchased', 500, 'USD', $3, true,
       'SYSTEM', 'purser', clock_timestamp())`,
    [purchaseId, decodeId('Organization', id), gateway.services.payments.name],
  );
  return encodeId('Purchase', purchaseId);
}

/** Charges what waits for it. */
export async function charge({ gateway, database }: TestGateway, { id }: Given): Promise<void> {
  await collectPayments(gateway.services, await tenantOf(database, id));
}

/** Asks the provider for what a purchase is to be charged, and posts nothing of what it answers. */
export async function askOnly(services: Services, tenant: Tenant, purchaseId: string) {
  return services.payments.charge({
    organizationId: tenant.organizationId,
    purchaseId: decodeId('Purchase', purchaseId) ?? '',
    description: 'Top-up: 100 credits',
    amountMinor: 500n,
    currency: 'USD',
  });
}

/** Lets the time pass after which a purchase is next asked about, before all others; it was asked so often by then. */
export async function comeDue(database: TestDatabase, purchaseId: string, checks = 0): Promise<void> {
  await query(
    database,
    `UPDATE purchase SET check_at = clock_timestamp() - interval '1 day', checks = $2 WHERE id = $1`,
    [decodeId('Purchase', purchaseId), checks],
  );
}

/** What the sandbox says when a purchase was paid, delivered so many times at once; the statuses that it was answered with. */
export async function tellPaid(gateway: TestGateway, purchaseId: string, times = 1): Promise<number[]> {
  const [row] = await query<{ value: string }>(
    gateway.database,
    "SELECT value FROM installation_secret WHERE name = 'sandbox.webhook'",
  );
  const body = JSON.stringify({ purchaseId: decodeId('Purchase', purchaseId), outcome: 'PAID' });
  const [id, sentAt] = [`evt_${randomUUID()}`, new Date()];
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': Math.floor(sentAt.getTime() / 1_000).toString(),
    'webhook-signature': new Webhook(row?.value ?? '').sign(id, sentAt, body),
  };
  const url = new URL('/webhooks/sandbox', gateway.gateway.endpoint);
  const deliver = async () => (await fetch(url, { method: 'POST', headers, body })).status;
  return Promise.all(Array.from({ length: times }, deliver));
}
