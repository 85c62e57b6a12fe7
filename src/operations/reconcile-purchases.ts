/**
 * Asks the payment provider what has become of payments that it has not told of, or whose news a crash has lost, and
 * completes refunds that a crash has cut short. Each is asked about at growing distances: the first time 5 s after its
 * purchase has last changed, then after twice the time of before. Runs any number of times and in several processes at once;
 * what the provider says is posted as if it had told it by itself, so that credits come once.
 *
 * Throws the database's faults; a purchase that cannot be asked about is logged, and its turn comes again.
 */
import { systemActor } from '../domain/actor.ts';
import { takeUnresolved, type UnresolvedPurchase } from '../persistence/payments/unresolved-purchases.ts';
import { giveBack } from './give-back.ts';
import { refusalOf } from './outcome.ts';
import type { Services } from './services.ts';

/** The first distance is also the column's default. The longest is as long as news may be late that got lost after a day. */
const SPACING = { first: 5_000, longest: 6 * 3_600_000 };
/** Purchases of one run, asked about at once: a run takes no longer than the slowest answer. */
const PAGE = 20;

type Reconciling = Pick<Services, 'engine' | 'payments' | 'sql' | 'logger'>;

/** Whether there may be more to ask about. */
export async function reconcilePurchases(services: Reconciling): Promise<{ readonly unfinished: boolean }> {
  const { sql, payments, logger } = services;
  const purchases = await takeUnresolved(sql, payments.name, SPACING, PAGE);
  const answers = await Promise.allSettled(purchases.map((purchase) => reconcile(services, purchase)));
  const faults = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
  if (faults.length > 0) {
    logger.warn({ err: faults[0], purchases: faults.length }, 'what became of purchases could not be found out');
  }
  return { unfinished: purchases.length === PAGE };
}

async function reconcile(services: Reconciling, purchase: UnresolvedPurchase): Promise<void> {
  const { engine, payments, logger } = services;
  const { id: purchaseId, tenant, reference, isRefunding } = purchase;
  const actor = systemActor(payments.name);
  if (isRefunding) {
    const refusal = await giveBack(services, actor, tenant, purchaseId);
    logger.info({ purchase: purchaseId, refusal: refusal?.code ?? null }, 'refund taken up again');
    return;
  }
  const news = reference === null ? null : await payments.lookUp({ purchaseId, reference });
  if (news === null) return;
  const outcome = await engine.execute({ kind: 'resolve-purchase', ...tenant, actor, purchaseId, news });
  const refusal = outcome.status === 'purchase-resolved' ? null : refusalOf(outcome);
  logger.info({ purchase: purchaseId, news: news.kind, refusal: refusal?.code ?? null }, 'payment found out');
}
