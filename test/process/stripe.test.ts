/** Gateways as an operator starts them with Stripe: two processes of one database, nothing set but the environment. */
import { expect, it } from 'vitest';
import { encodeId } from '../../src/graphql/ids.ts';
import { PurchasePackageDocument, PurchasesDocument } from '../generated/documents.ts';
import { createDatabase } from '../support/database.ts';
import { createClient } from '../support/gateway.ts';
import { aKey } from '../support/given.ts';
import { aDataDirectory, startProcess } from '../support/process-gateway.ts';
import { StripeStandIn } from '../support/stripe.ts';

it('a purchase that is begun at one gateway is paid by an event that another one hears', async () => {
  await using stripe = await StripeStandIn.start();
  await using database = await createDatabase();
  const env = { ...stripe.env, DATABASE_URL: database.adminUrl };
  await using here = await aDataDirectory();
  await using there = await aDataDirectory();
  await using first = await startProcess(here, env);
  await using second = await startProcess(there, env);
  const { endpoint, organization, tokens } = await first.manifest();
  const client = createClient(endpoint, tokens.owner);
  const input = { organizationId: organization.id, packageId: encodeId('Package', 'growth'), idempotencyKey: aKey() };
  const { purchasePackage } = await client.run(PurchasePackageDocument, { input });
  const begun = purchasePackage.__typename === 'PurchasePayload' ? purchasePackage.purchase : null;
  const paid = stripe.pay(stripe.sessionAt(begun?.checkoutUrl));

  expect(await stripe.deliver((await second.manifest()).endpoint, paid)).toBe(200);

  const { organization: seen } = await client.run(PurchasesDocument, { slug: organization.slug });
  expect(seen?.purchases?.edges.find(({ node }) => node.id === begun?.id)?.node.status).toBe('PAID');
  for (const gateway of [first, second]) {
    expect(await gateway.stop()).toEqual({ code: 0, signal: null });
    for (const secret of [stripe.secretKey, stripe.webhookSecret]) {
      expect(gateway.stdout + gateway.stderr).not.toContain(secret);
    }
  }
});
