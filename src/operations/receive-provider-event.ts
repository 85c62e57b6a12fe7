/**
 * Takes a payment provider's word for what became of a payment. Runs any number of times for the same news, in any order,
 * and moves the purchase's credits once. Throws `UnverifiedEvent` for what the provider did not sign, the provider's faults and
 * the engine's.
 */
import { systemActor } from '../domain/actor.ts';
import { tenantOfPurchase } from '../persistence/payments/purchases.ts';
import { WalletBusy } from './outcome.ts';
import type { Services } from './services.ts';

export type WebhookAnswer = 'handled' | 'ignored' | 'unknown-purchase' | 'refused';

export async function receiveProviderEvent(
  services: Services,
  headers: Readonly<Record<string, string>>,
  rawBody: string,
): Promise<WebhookAnswer> {
  const { payments, sql, engine, logger } = services;
  const event = await payments.verifyEvent(headers, rawBody);
  if (!event) return 'ignored';
  const tenant = await tenantOfPurchase(sql, event.purchaseId, payments.name);
  if (!tenant) return 'unknown-purchase';
  const outcome = await engine.execute({
    kind: 'resolve-purchase',
    ...tenant,
    actor: systemActor(payments.name),
    purchaseId: event.purchaseId,
    news: event.news,
    ...(event.reference === undefined ? {} : { reference: event.reference }),
  });
  if (outcome.status === 'busy') throw new WalletBusy();
  const { kind: news } = event.news;
  logger.info({ event: event.id, purchase: event.purchaseId, news, outcome: outcome.status }, 'payment event');
  return outcome.status === 'purchase-resolved' ? 'handled' : 'refused';
}
