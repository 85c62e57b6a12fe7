/** What the audit trail keeps of the commands that change something by hand: what it was, and what it became. */
import { creditsOf } from '../allocations/allocation.ts';
import type { JsonObject } from '../canonical.ts';
import { formatCredits } from '../credits/micros.ts';
import { formatInstant } from '../time/instant.ts';
import type { KeyedCommand, SetAllocationCommand } from './commands.ts';
import type { DraftPurchase } from './decide-purchase.ts';
import type { Outcome } from './outcomes.ts';
import type { PostedAudit } from './records.ts';
import type { WalletBook } from './wallet-book.ts';

/** What is put on record of a command. */
export interface Audited {
  readonly action: PostedAudit['action'];
  readonly before: JsonObject | null;
  readonly after: JsonObject;
  readonly requestId: string | null;
}

interface Audit {
  readonly book: WalletBook;
  /** The book before the command. */
  readonly earlier: Standing;
  readonly purchases: ReadonlyMap<string, DraftPurchase>;
}

/** What is changed by hand is audited in the transaction that posts it; null for what charges usage. */
export function auditOf(command: KeyedCommand, outcome: Outcome, { book, earlier, purchases }: Audit): Audited | null {
  switch (command.kind) {
    case 'grant':
    case 'adjust': {
      if (outcome.status !== 'posted') return null;
      const { credits, bucketKey, description: reason, requestId } = command;
      const after = { transactionId: outcome.transaction.id, credits: formatCredits(credits), bucketKey, reason };
      const action = command.kind === 'grant' ? 'grantCredits' : 'adjustBalance';
      return { action, before: balanceOf(earlier), after: { ...after, ...balanceOf(book) }, requestId };
    }
    case 'refund': {
      if (outcome.status !== 'posted') return null;
      const { transaction } = outcome;
      const { transactionId: refundedId, description: reason, requestId } = command;
      const after = { transactionId: transaction.id, refundedId, credits: formatCredits(transaction.amount), reason };
      return { action: 'refund', before: balanceOf(earlier), after: { ...after, ...balanceOf(book) }, requestId };
    }
    case 'revoke-grant': {
      if (outcome.status !== 'posted') return null;
      const { transaction } = outcome;
      const credits = formatCredits(transaction.amount);
      const after = { transactionId: transaction.id, lotId: command.lotId, credits, reason: command.description };
      const { requestId } = command;
      return { action: 'revokeGrant', before: balanceOf(earlier), after: { ...after, ...balanceOf(book) }, requestId };
    }
    case 'refund-purchase': {
      if (outcome.status !== 'refund-begun') return null;
      const { purchaseId, description: reason, requestId } = command;
      const status = purchases.get(purchaseId)?.state.status ?? null;
      const after = { purchaseId, reason, status, refundRequestedAt: formatInstant(book.now) };
      return { action: 'refundPurchase', before: { purchaseId, status, refundRequestedAt: null }, after, requestId };
    }
    case 'redeem': {
      if (outcome.status !== 'posted') return null;
      const after = { transactionId: outcome.transaction.id, code: command.code, ...balanceOf(book) };
      return { action: 'redeemPromoCode', before: balanceOf(earlier), after, requestId: command.requestId };
    }
    case 'subscribe': {
      const { planKey, when, requestId } = command;
      const selected = when === null ? { planKey } : { planKey, when };
      const before = describeSubscription(earlier);
      if (outcome.status === 'plan-purchase-begun') {
        return { action: 'selectPlan', before, after: { purchaseId: outcome.purchaseId, ...selected }, requestId };
      }
      if (outcome.status !== 'subscribed') return null;
      return { action: 'selectPlan', before, after: { ...describeSubscription(book), when }, requestId };
    }
    default:
      return null;
  }
}

/** What of a book a command may change by hand. */
export type Standing = Pick<WalletBook, 'balance' | 'subscription'>;

const balanceOf = ({ balance }: Standing): JsonObject => ({ balance: formatCredits(balance) });

/** A subscription as the audit trail keeps it; null where there is none. */
export function describeSubscription({ subscription }: Pick<Standing, 'subscription'>): JsonObject | null {
  if (subscription === null) return null;
  const { id: subscriptionId, planKey, status, cancelAtPeriodEnd, scheduledPlanKey } = subscription;
  return { subscriptionId, planKey, status, cancelAtPeriodEnd, scheduledPlanKey };
}

/** What is earmarked for a project or member; null where nothing ever was. */
export function describeAllocation(
  { lots }: WalletBook,
  { projectId, userId }: SetAllocationCommand,
): JsonObject | null {
  const [allocation] = lots.allocations.of({ projectId, userId });
  if (!allocation) return null;
  const whom = projectId === null ? { userId } : { projectId };
  return { ...whom, credits: formatCredits(creditsOf(allocation)), exclusive: allocation.exclusive };
}
