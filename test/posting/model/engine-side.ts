/** The engine's side of the model test: the model's commands in the engine's types, and its outcomes in the model's words. */
import { formatDecimal } from '../../../src/domain/credits/decimal.ts';
import { micros } from '../../../src/domain/credits/micros.ts';
import type { HoldState } from '../../../src/domain/holds/hold.ts';
import type { CheckedLimit } from '../../../src/domain/limits/spend-limit.ts';
import { invalidInput } from '../../../src/domain/plain-refusals.ts';
import type { Charge, Command, DebitCommand, KeyedCommand } from '../../../src/domain/posting/commands.ts';
import type { Outcome } from '../../../src/domain/posting/outcomes.ts';
import { NO_ATTRIBUTION } from '../../../src/domain/posting/records.ts';
import { requestHash } from '../../../src/domain/posting/request-hash.ts';
import type { PricedLine } from '../../../src/domain/pricing/price.ts';
import type { Explanation, Refusal } from '../../../src/domain/refusals.ts';
import { instant } from '../../../src/domain/time/instant.ts';
import { usageOf } from '../../support/builders-values.ts';
import { type NaiveCharge, type NaiveCommand, type NaiveDebit, type NaiveKeyed, payloadOf } from './commands.ts';
import type { LimitSeen, NaiveLine } from './naive-books.ts';
import type { ExplanationSeen, HoldSeen, RefusalSeen, Reply } from './replies.ts';

export interface WalletIds {
  readonly walletId: string;
  readonly organizationId: string;
  readonly purchases: readonly string[];
  readonly projectId: string;
}

const ACTOR = { kind: 'API_KEY', id: 'model' } as const;
/** An id of nothing. */
const NOBODY = '00000000-0000-4000-8000-000000000000';

/** Which of the engine's ids stands for which number of the model. */
export class Ids {
  readonly transactions = new Map<string, number>();
  readonly holds = new Map<string, number>();

  idOf(ids: ReadonlyMap<string, number>, number: number | null): string {
    const found = [...ids].find(([, known]) => known === number);
    return found ? found[0] : NOBODY;
  }

  /** Takes the ids of what the model says was made just now. */
  learn(outcome: Outcome, reply: Reply): void {
    if (outcome.status === 'events' && reply.status === 'events') {
      for (const [index, event] of outcome.outcomes.entries()) {
        const predicted = reply.outcomes[index];
        if (predicted) this.learn(event, predicted);
      }
    }
    if (outcome.status === 'posted' && reply.status === 'posted') {
      this.transactions.set(outcome.transaction.id, reply.transaction);
    }
    if (outcome.status === 'held' && reply.status === 'held' && !this.holds.has(outcome.hold.facts.id)) {
      this.holds.set(outcome.hold.facts.id, reply.hold.number);
    }
  }
}

// Commands

export function toCommand(command: NaiveCommand, wallet: WalletIds, ids: Ids): Command {
  const { walletId, organizationId } = wallet;
  const on = { walletId, organizationId, actor: ACTOR };
  switch (command.kind) {
    case 'settle':
      return { kind: 'settle', ...on };
    case 'cancel':
      return { kind: 'cancel-subscription', ...on, requestId: null, atPeriodEnd: command.atPeriodEnd };
    case 'resume':
      return { kind: 'resume-subscription', ...on, requestId: null };
    case 'pay': {
      const purchaseId = (command.purchase === null ? undefined : wallet.purchases[command.purchase]) ?? NOBODY;
      return { kind: 'resolve-purchase', ...on, purchaseId, news: { kind: command.outcome } };
    }
    case 'events': {
      const events = command.events.map((event): DebitCommand | Refusal =>
        event ? toDebit(event, wallet) : invalidInput(['metadata'], 'is not an object'),
      );
      return { kind: 'events', ...on, mode: command.mode, events };
    }
    default:
      return toKeyed(command, wallet, ids);
  }
}

const boundTo = (command: NaiveKeyed, { walletId, organizationId }: WalletIds) => ({
  walletId,
  organizationId,
  actor: ACTOR,
  idempotencyKey: command.key,
  requestHash: requestHash(command.kind, organizationId, { payload: payloadOf(command) }),
});

function toDebit(command: NaiveDebit, wallet: WalletIds): DebitCommand {
  const { charge, overage, occurredAt, inProject } = command;
  return {
    kind: 'debit',
    ...boundTo(command, wallet),
    charge: toCharge(charge),
    overage,
    reasonCode: 'USAGE',
    description: null,
    attribution: { ...NO_ATTRIBUTION, taskId: command.key, projectId: inProject ? wallet.projectId : null },
    occurredAt: occurredAt === null ? null : instant(occurredAt),
    metadata: null,
  };
}

function toKeyed(command: NaiveKeyed, wallet: WalletIds, ids: Ids): KeyedCommand {
  const bound = boundTo(command, wallet);
  const description = 'model';
  const audited = { requestId: null };
  switch (command.kind) {
    case 'debit':
    case 'event':
      return toDebit(command, wallet);
    case 'authorize': {
      const { life, charge, inProject } = command;
      return {
        ...bound,
        kind: 'authorize',
        charge: toCharge(charge),
        life,
        attribution: { ...NO_ATTRIBUTION, projectId: inProject ? wallet.projectId : null },
        metadata: null,
      };
    }
    case 'capture': {
      const { charge, final, overage } = command;
      const holdId = ids.idOf(ids.holds, command.hold);
      return { ...bound, kind: 'capture', holdId, charge: charge && toCharge(charge), final, overage };
    }
    case 'release':
      return { ...bound, kind: 'release', holdId: ids.idOf(ids.holds, command.hold) };
    case 'extend':
      return { ...bound, kind: 'extend', holdId: ids.idOf(ids.holds, command.hold), life: command.life };
    case 'refund': {
      const amount = command.amount === null ? null : micros(command.amount);
      return {
        ...bound,
        kind: 'refund',
        requestId: null,
        transactionId: ids.idOf(ids.transactions, command.transaction),
        amount,
        description,
      };
    }
    case 'grant': {
      const expiresAt = command.expiresAt === null ? null : instant(command.expiresAt);
      const { bucket: bucketKey } = command;
      return {
        ...bound,
        ...audited,
        kind: 'grant',
        credits: micros(command.amount),
        bucketKey,
        expiresAt,
        description,
      };
    }
    case 'adjust':
      return {
        ...bound,
        ...audited,
        kind: 'adjust',
        credits: micros(command.amount),
        bucketKey: command.bucket,
        description,
      };
    case 'subscribe': {
      return {
        ...bound,
        ...audited,
        kind: 'subscribe',
        planKey: command.plan,
        when: command.when,
        prorationAt: null,
        exceeded: null,
        provider: 'none',
      };
    }
  }
}

function toCharge(charge: NaiveCharge): Charge {
  if (charge.kind === 'amount') return { kind: 'amount', amount: micros(charge.amount) };
  const usage = charge.lines.map(({ meter, halves, tier, preview }) =>
    usageOf(meter, String(halves / 2), tier === null ? null : { tier }, preview),
  );
  return { kind: 'usage', usage };
}

// Outcomes

/** An outcome as a reply, by what it says alone. */
export function toReply(outcome: Outcome, ids: Ids): Reply | { readonly status: 'busy' } {
  switch (outcome.status) {
    case 'busy':
    case 'subscription-changed':
    case 'settled':
      return { status: outcome.status };
    case 'purchase-resolved':
      return { status: outcome.status, purchaseStatus: outcome.purchaseStatus, changed: outcome.changed };
    case 'collecting':
    case 'plan-purchase-begun':
    case 'auto-top-up-configured':
    case 'alert-decided':
    case 'allocation-set':
      throw new Error('the model charges nobody');
    case 'events':
      return { status: 'events', outcomes: outcome.outcomes.map((event) => toReply(event, ids)) as never };
    default:
      return toTold(outcome, ids);
  }
}

type Told = Exclude<
  Outcome,
  {
    readonly status:
      | 'busy'
      | 'settled'
      | 'subscription-changed'
      | 'purchase-resolved'
      | 'collecting'
      | 'plan-purchase-begun'
      | 'auto-top-up-configured'
      | 'alert-decided'
      | 'allocation-set'
      | 'events';
  }
>;

function toTold(outcome: Told, ids: Ids): Reply {
  const told = { available: outcome.available, availableNow: outcome.availableNow };
  switch (outcome.status) {
    case 'posted': {
      const { id, kind, amount, lines, rateCardVersion, limits } = outcome.transaction;
      return {
        ...told,
        status: 'posted',
        transaction: numberOf(ids.transactions, id),
        kind,
        amount,
        lines: lines.map(lineSeen),
        rateCardVersion,
        limits: limits.map(limitSeen),
        madeLot: outcome.lotId !== null,
        hold: outcome.hold && holdSeen(outcome.hold.facts.id, outcome.hold.state, ids),
      };
    }
    case 'held':
      return { ...told, status: 'held', hold: holdSeen(outcome.hold.facts.id, outcome.hold.state, ids) };
    case 'subscribed':
      return { ...told, status: 'subscribed' };
    case 'refund-begun':
      throw new Error('no command of the model refunds a purchase');
    case 'replayed': {
      const { answer } = outcome;
      const transaction = 'transactionId' in answer ? numberOf(ids.transactions, answer.transactionId) : null;
      const madeLot = 'lotId' in answer && answer.lotId !== null;
      const hold = 'hold' in answer && answer.hold ? holdSeen(answer.hold.id, answer.hold, ids) : null;
      return { ...told, status: 'replayed', transaction, madeLot, hold };
    }
    case 'refused':
      return { ...told, status: 'refused', refusal: refusalSeen(outcome.refusal), replayed: outcome.replayed };
  }
}

const numberOf = (ids: ReadonlyMap<string, number>, id: string): number => ids.get(id) ?? -1;

const holdSeen = (id: string, { status, captured, remaining, expiresAt }: HoldState, ids: Ids): HoldSeen => ({
  number: numberOf(ids.holds, id),
  status,
  captured,
  remaining,
  expiresAt,
});

export const lineSeen = ({ meter, quantity, credits, waived, dimensions, preview }: PricedLine): NaiveLine => ({
  meter,
  halves: 2 * Number(formatDecimal(quantity)),
  tier: typeof dimensions?.tier === 'string' ? dimensions.tier : null,
  preview,
  credits,
  waived,
});

const limitSeen = ({ limitCode: code, limit, used, blocked }: CheckedLimit): LimitSeen => ({
  code,
  limit,
  used,
  blocked,
});

const explanationSeen = ({ lines, rateCardVersion, limits, lots }: Explanation): ExplanationSeen => ({
  lines: lines.map(lineSeen),
  rateCardVersion,
  limits: limits.map(limitSeen),
  lots: lots.map((lot) => lot.available),
});

function refusalSeen(refusal: Refusal): RefusalSeen {
  switch (refusal.code) {
    case 'INSUFFICIENT_CREDITS': {
      const { code, required, available, held, explanation } = refusal;
      return { code, required, available, held, explanation: explanation && explanationSeen(explanation) };
    }
    case 'SPEND_LIMIT_REACHED': {
      const { code, limitCode, limit, used, resetsAt, explanation } = refusal;
      return { code, limitCode, limit, used, resetsAt, explanation: explanationSeen(explanation) };
    }
    case 'INVALID_INPUT':
      return { code: refusal.code, path: refusal.path };
    case 'CONFLICT':
      return { code: refusal.code, currentState: refusal.currentState };
    case 'UNKNOWN_METER':
      return { code: refusal.code, meter: refusal.meter };
    case 'IDEMPOTENCY_KEY_REUSED':
      return { code: refusal.code };
    case 'ALLOCATION_EXHAUSTED':
      throw new Error('nothing of the model is earmarked');
    case 'PAYMENT_FAILED':
    case 'INVALID_INCREMENT':
      throw new Error('no command of the model is paid for');
    case 'PLAN_LIMIT_REACHED': {
      const { code, key, limit, current, resetsAt, explanation } = refusal;
      return { code, key, limit, current, resetsAt, explanation: explanation && explanationSeen(explanation) };
    }
    default:
      return refusal;
  }
}
