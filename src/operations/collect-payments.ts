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
import { unansweredCharges } from '../persistence/charges.ts';
import type { Queryable } from '../persistence/connection.ts';
import { attachCheckout, findOffSession, keepReference } from '../persistence/purchases.ts';
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
  await keepAnswer(sql, purchaseId, answer);
  const news = newsOf(answer);
  if (news === null) return;
  const actor = systemActor(payments.name);
  await engine.execute({ kind: 'resolve-purchase', ...tenant, actor, purchaseId, news });
}

/** What is under way may have a page where somebody can do something about it. */
async function keepAnswer(sql: Queryable, purchaseId: string, answer: ChargeAnswer): Promise<void> {
  if (answer.status === 'DECLINED') return;
  const { reference } = answer;
  if (answer.status === 'PENDING' && answer.url !== null) {
    await attachCheckout(sql, purchaseId, { reference, url: answer.url });
  } else {
    await keepReference(sql, purchaseId, reference);
  }
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
