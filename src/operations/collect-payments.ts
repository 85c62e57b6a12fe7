/**
 * Charges what is due on a wallet while nobody is there to pay. Runs any number of times and in several processes at once:
 * the engine begins each charge once, the provider charges it once, and the engine posts the answer once. What a crash has
 * cut short is asked for again.
 *
 * Throws the provider's faults and the engine's; what was begun is then charged at the next run.
 */
import { systemActor } from '../domain/actor.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { PurchaseNews } from '../domain/purchases/purchase.ts';
import type { ChargeAnswer } from '../payments/provider.ts';
import type { Queryable } from '../persistence/connection.ts';
import { unansweredCharges } from '../persistence/payments/charges.ts';
import { attachCheckout, findOffSession, keepReference } from '../persistence/payments/purchases.ts';
import { WalletBusy } from './outcome.ts';
import type { Services } from './services.ts';

type Collecting = Pick<Services, 'engine' | 'payments' | 'sql'>;

export async function collectPayments(services: Collecting, tenant: Tenant): Promise<void> {
  const { engine, payments, sql } = services;
  const actor = systemActor('purser');
  const outcome = await engine.execute({ kind: 'collect', ...tenant, actor, provider: payments.name });
  if (outcome.status === 'busy') throw new WalletBusy();
  if (outcome.status !== 'collecting') throw new Error(`a collection was answered with ${outcome.status}`);
  for (const purchaseId of await unansweredCharges(sql, tenant.organizationId, payments.name)) {
    await chargePurchase(services, tenant, purchaseId);
  }
}

/** Asks the provider once for the money of a purchase, and posts what it says. */
async function chargePurchase(
  { engine, payments, sql }: Collecting,
  tenant: Tenant,
  purchaseId: string,
): Promise<void> {
  const purchase = await findOffSession(sql, purchaseId, payments.name);
  // With a reference it is under way, and an event tells its end.
  if (purchase?.status !== 'PENDING' || purchase.reference !== null) return;
  const { status: _status, reference: _reference, ...request } = purchase;
  const answer = await payments.charge({ ...request, purchaseId, organizationId: tenant.organizationId });
  const news = newsOf(answer);
  if (news === null) {
    if (answer.status === 'PENDING') await keepUnderWay(sql, purchaseId, answer);
    return;
  }
  // The reference of what is paid is kept with its credits: what has none is asked for again, as after a crash here.
  const reference = answer.status === 'PAID' ? { reference: answer.reference } : {};
  const actor = systemActor(payments.name);
  const outcome = await engine.execute({ kind: 'resolve-purchase', ...tenant, actor, purchaseId, news, ...reference });
  // A wallet that was frozen meanwhile takes it once it is not: the charge is then asked for again and answered the same.
  if (outcome.status === 'busy') throw new WalletBusy();
}

/** What is under way may have a page where somebody can do something about it. */
async function keepUnderWay(
  sql: Queryable,
  purchaseId: string,
  { reference, url }: Extract<ChargeAnswer, { readonly status: 'PENDING' }>,
): Promise<void> {
  if (url === null) await keepReference(sql, purchaseId, reference);
  else await attachCheckout(sql, purchaseId, { reference, url });
}

function newsOf(answer: ChargeAnswer): PurchaseNews | null {
  switch (answer.status) {
    case 'PAID':
      return { kind: 'PAID' };
    case 'DECLINED':
      return { kind: 'FAILED', declineCode: answer.code };
    case 'PENDING':
      return null;
  }
}
