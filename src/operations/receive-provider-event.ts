/**
 * Takes a payment provider's word for how a checkout ended. Runs any number of times for the same news and posts the
 * purchase's credits once. Throws `UnverifiedEvent` for what the provider did not sign, and the engine's faults.
 */
import { systemActor } from '../domain/actor.ts';
import { walletOfPurchase } from '../persistence/purchases.ts';
import { WalletBusy } from './outcome.ts';
import type { Services } from './services.ts';

export type WebhookAnswer = 'handled' | 'ignored' | 'unknown-purchase' | 'refused';

export async function receiveProviderEvent(
  services: Services,
  headers: Readonly<Record<string, string>>,
  rawBody: string,
): Promise<WebhookAnswer> {
  const { payments, sql, engine, logger } = services;
  const event = payments.verifyEvent(headers, rawBody);
  if (!event) return 'ignored';
  const tenant = await walletOfPurchase(sql, event.purchaseId, payments.name);
  if (!tenant) return 'unknown-purchase';
  const outcome = await engine.execute({
    kind: 'resolve-purchase',
    ...tenant,
    actor: systemActor(payments.name),
    purchaseId: event.purchaseId,
    outcome: event.outcome,
  });
  if (outcome.status === 'busy') throw new WalletBusy();
  const isLatePayment =
    outcome.status === 'purchase-resolved' && event.outcome === 'PAID' && outcome.purchaseStatus !== 'PAID';
  if (isLatePayment) {
    const { purchaseStatus: status } = outcome;
    logger.error(
      { event: event.id, purchase: event.purchaseId, status },
      'paid after the purchase had ended: no credits',
    );
  }
  logger.info({ event: event.id, purchase: event.purchaseId, outcome: outcome.status }, 'payment event');
  return outcome.status === 'purchase-resolved' ? 'handled' : 'refused';
}
