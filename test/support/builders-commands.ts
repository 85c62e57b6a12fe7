/** Commands to the posting engine, with everything that a test does not care about filled in. */
import { type Actor, systemActor } from '../../src/domain/actor.ts';
import type { Attribution } from '../../src/domain/attribution.ts';
import type { JsonObject } from '../../src/domain/canonical.ts';
import { formatDecimal } from '../../src/domain/credits/decimal.ts';
import { formatCredits } from '../../src/domain/credits/micros.ts';
import { callerReasonCode } from '../../src/domain/ledger/reason-code.ts';
import type {
  AdjustCommand,
  AuthorizeCommand,
  CancelRefundCommand,
  CancelSubscriptionCommand,
  CaptureCommand,
  Charge,
  CollectCommand,
  ConfigureAutoTopUpCommand,
  DebitCommand,
  EventsCommand,
  EventsMode,
  ExtendCommand,
  GrantCommand,
  OveragePolicy,
  RedeemCommand,
  RefundCommand,
  RefundPurchaseCommand,
  ReleaseCommand,
  RemoveAlertCommand,
  ResolvePurchaseCommand,
  ResumeSubscriptionCommand,
  RevokeGrantCommand,
  SetAlertCommand,
  SetAllocationCommand,
  SettleCommand,
  SubscribeCommand,
} from '../../src/domain/posting/commands.ts';
import { NO_ATTRIBUTION } from '../../src/domain/posting/records.ts';
import { requestHash } from '../../src/domain/posting/request-hash.ts';
import type { UsageQuantity } from '../../src/domain/pricing/price.ts';
import type { NewsKind, PurchaseNews } from '../../src/domain/purchases/purchase.ts';
import type { Instant } from '../../src/domain/time/instant.ts';
import { credits } from './builders-values.ts';

export const WALLET = 'wallet-1';
export const ORGANIZATION = 'organization-1';
export const A_KEY: Actor = { kind: 'API_KEY', id: 'key-1' };
export const AN_OPERATOR: Actor = { kind: 'OPERATOR', id: 'operator-1' };

const target = { walletId: WALLET, organizationId: ORGANIZATION };
let keys = 0;
const freshKey = (): string => `key-${++keys}`;

export interface DebitOptions {
  readonly key?: string;
  readonly walletId?: string;
  readonly organizationId?: string;
  readonly reasonCode?: string;
  readonly occurredAt?: Instant | null;
  readonly metadata?: JsonObject | null;
  readonly attribution?: Partial<Attribution>;
  readonly overage?: OveragePolicy;
}

function debitBy(charge: Charge, canonical: JsonObject, options: DebitOptions): DebitCommand {
  const { key = freshKey(), occurredAt = null, metadata = null } = options;
  const reasonCode = options.reasonCode === undefined ? 'USAGE' : callerReasonCode(options.reasonCode);
  const { walletId = WALLET, organizationId = ORGANIZATION } = options;
  return {
    kind: 'debit',
    walletId,
    organizationId,
    actor: A_KEY,
    idempotencyKey: key,
    requestHash: requestHash('debit', organizationId, {
      ...canonical,
      overage: options.overage ?? null,
      reasonCode,
      occurredAt,
      metadata,
    }),
    charge,
    overage: options.overage ?? 'REJECT',
    reasonCode,
    description: null,
    attribution: { ...NO_ATTRIBUTION, ...options.attribution },
    occurredAt,
    metadata,
  };
}

/** A debit of an amount. */
export function aDebit(amount: string, options: DebitOptions = {}): DebitCommand {
  return debitBy({ kind: 'amount', amount: credits(amount) }, { amount: formatCredits(credits(amount)) }, options);
}

/** A debit of metered usage. */
export function aDebitOf(usage: readonly UsageQuantity[], options: DebitOptions = {}): DebitCommand {
  const lines = usage.map(({ meter, quantity, dimensions, preview }) => ({
    meter,
    quantity: formatDecimal(quantity),
    dimensions,
    preview: preview || null,
  }));
  return debitBy({ kind: 'usage', usage }, { usage: lines }, options);
}

const amountCharge = (amount: string): Charge => ({ kind: 'amount', amount: credits(amount) });

export interface HoldOptions {
  readonly key?: string;
  readonly lifeSeconds?: number;
  readonly usage?: readonly UsageQuantity[];
  readonly attribution?: Partial<Attribution>;
}

/** Reserves an amount, or usage where it is given. */
export function anAuthorization(amount: string, options: HoldOptions = {}): AuthorizeCommand {
  const { key = freshKey(), lifeSeconds, usage, attribution } = options;
  return {
    kind: 'authorize',
    ...target,
    actor: A_KEY,
    idempotencyKey: key,
    requestHash: requestHash('authorize', ORGANIZATION, { amount, lifeSeconds: lifeSeconds ?? null }),
    charge: usage ? { kind: 'usage', usage } : amountCharge(amount),
    life: lifeSeconds === undefined ? null : lifeSeconds * 1_000,
    attribution: { ...NO_ATTRIBUTION, ...attribution },
    metadata: null,
  };
}

export interface CaptureOptions {
  readonly key?: string;
  readonly amount?: string;
  readonly usage?: readonly UsageQuantity[];
  readonly final?: boolean;
  readonly overage?: OveragePolicy;
}

/** Captures the whole rest unless an amount or usage is given. */
export function aCapture(holdId: string, options: CaptureOptions = {}): CaptureCommand {
  const { key = freshKey(), amount, usage, final = true, overage = 'REJECT' } = options;
  const charge: Charge | null = usage ? { kind: 'usage', usage } : amount === undefined ? null : amountCharge(amount);
  return {
    kind: 'capture',
    ...target,
    actor: A_KEY,
    idempotencyKey: key,
    requestHash: requestHash('capture', ORGANIZATION, { holdId, amount: amount ?? null, final, overage }),
    holdId,
    charge,
    final,
    overage,
  };
}

export function aRelease(holdId: string, key: string = freshKey()): ReleaseCommand {
  const hash = requestHash('release', ORGANIZATION, { holdId });
  return { kind: 'release', ...target, actor: A_KEY, idempotencyKey: key, requestHash: hash, holdId };
}

export function anExtension(holdId: string, lifeSeconds: number, key: string = freshKey()): ExtendCommand {
  const hash = requestHash('extendHold', ORGANIZATION, { holdId, lifeSeconds });
  const life = lifeSeconds * 1_000;
  return { kind: 'extend', ...target, actor: A_KEY, idempotencyKey: key, requestHash: hash, holdId, life };
}

/** Gives back all that is left of a charge unless an amount is given. */
export function aRefund(transactionId: string, amount?: string, key: string = freshKey()): RefundCommand {
  return {
    kind: 'refund',
    requestId: null,
    ...target,
    actor: A_KEY,
    idempotencyKey: key,
    requestHash: requestHash('refund', ORGANIZATION, { transactionId, amount: amount ?? null }),
    transactionId,
    amount: amount === undefined ? null : credits(amount),
    description: null,
  };
}

export function someEvents(mode: EventsMode, events: EventsCommand['events']): EventsCommand {
  return { kind: 'events', ...target, actor: A_KEY, mode, events };
}

export function aSubscription(
  planKey: string,
  key: string = freshKey(),
  when: SubscribeCommand['when'] = null,
): SubscribeCommand {
  const hash = requestHash('selectPlan', ORGANIZATION, { planKey, when });
  return {
    kind: 'subscribe',
    ...target,
    actor: A_KEY,
    requestId: null,
    idempotencyKey: key,
    requestHash: hash,
    planKey,
    when,
    prorationAt: null,
    exceeded: null,
    provider: 'sandbox',
  };
}

export function aRedemption(code: string, key: string = freshKey()): RedeemCommand {
  const hash = requestHash('redeemPromoCode', ORGANIZATION, { code });
  return { kind: 'redeem', ...target, actor: A_KEY, requestId: null, idempotencyKey: key, requestHash: hash, code };
}

export interface GrantOptions {
  readonly key?: string;
  readonly bucket?: string;
  readonly expiresAt?: Instant | null;
}

export function aGrant(amount: string, options: GrantOptions = {}): GrantCommand {
  const { key = freshKey(), bucket = 'promotional', expiresAt = null } = options;
  return {
    kind: 'grant',
    ...target,
    actor: AN_OPERATOR,
    requestId: 'request-1',
    idempotencyKey: key,
    requestHash: requestHash('grantCredits', ORGANIZATION, { amount, bucket, expiresAt }),
    credits: credits(amount),
    bucketKey: bucket,
    expiresAt,
    description: 'a reason',
  };
}

/** A signed adjustment of one bucket. */
export function anAdjustment(amount: string, bucket: string, key: string = freshKey()): AdjustCommand {
  return {
    kind: 'adjust',
    ...target,
    actor: AN_OPERATOR,
    requestId: null,
    idempotencyKey: key,
    requestHash: requestHash('adjustBalance', ORGANIZATION, { amount, bucket }),
    credits: credits(amount),
    bucketKey: bucket,
    description: 'a correction',
  };
}

/** News of the provider, of this dispute where it is of one. */
export function someNews(kind: NewsKind, dispute = 'dispute-1'): PurchaseNews {
  const isOfDispute = kind === 'DISPUTE_OPENED' || kind === 'DISPUTE_WON' || kind === 'DISPUTE_LOST';
  return isOfDispute ? { kind, dispute } : { kind };
}

export function aResolution(purchaseId: string, kind: NewsKind, dispute?: string): ResolvePurchaseCommand {
  const actor = { kind: 'SYSTEM', id: 'provider' } as const;
  return { kind: 'resolve-purchase', ...target, actor, purchaseId, news: someNews(kind, dispute) };
}

export function aPurchaseRefund(purchaseId: string, key: string = freshKey()): RefundPurchaseCommand {
  return {
    kind: 'refund-purchase',
    ...target,
    actor: AN_OPERATOR,
    requestId: null,
    idempotencyKey: key,
    requestHash: requestHash('refundPurchase', ORGANIZATION, { purchaseId }),
    purchaseId,
    description: null,
  };
}

export function aCancelledRefund(purchaseId: string, declineCode: string | null = null): CancelRefundCommand {
  return { kind: 'cancel-refund', ...target, actor: AN_OPERATOR, purchaseId, declineCode };
}

export function aRevocation(lotId: string, key: string = freshKey()): RevokeGrantCommand {
  return {
    kind: 'revoke-grant',
    ...target,
    actor: AN_OPERATOR,
    requestId: null,
    idempotencyKey: key,
    requestHash: requestHash('revokeGrant', ORGANIZATION, { lotId }),
    lotId,
    description: 'a reason',
  };
}

export interface AutoTopUpOptions {
  readonly enabled?: boolean;
  readonly threshold?: string;
  readonly packageKey?: string;
  readonly credits?: string;
  readonly monthlyCeilingMinor?: bigint;
}

/** As an owner configures it; enabled unless told. */
export function aTopUpConfiguration(options: AutoTopUpOptions = {}): ConfigureAutoTopUpCommand {
  const { enabled = true, threshold, packageKey, credits: bought, monthlyCeilingMinor = null } = options;
  const ofCredits = bought === undefined ? null : { packageKey: null, credits: credits(bought) };
  return {
    kind: 'configure-auto-top-up',
    ...target,
    actor: A_KEY,
    requestId: null,
    enabled,
    threshold: threshold === undefined ? null : credits(threshold),
    choice: packageKey === undefined ? ofCredits : { packageKey, credits: null },
    monthlyCeilingMinor,
  };
}

export interface AllocationOptions {
  readonly projectId?: string;
  readonly userId?: string;
  readonly exclusive?: boolean;
}

export function anAllocation(amount: string, options: AllocationOptions): SetAllocationCommand {
  const { projectId = null, userId = null, exclusive = null } = options;
  const whom = { projectId, userId, exclusive };
  return { kind: 'set-allocation', ...target, actor: A_KEY, requestId: null, ...whom, credits: credits(amount) };
}

export function aCancellation(atPeriodEnd: boolean): CancelSubscriptionCommand {
  return { kind: 'cancel-subscription', ...target, actor: A_KEY, requestId: null, atPeriodEnd };
}

export function aResumption(): ResumeSubscriptionCommand {
  return { kind: 'resume-subscription', ...target, actor: A_KEY, requestId: null };
}

export function aCollection(): CollectCommand {
  return { kind: 'collect', ...target, actor: systemActor('purser'), provider: 'sandbox' };
}

export function aSettlement(): SettleCommand {
  return { kind: 'settle', ...target, actor: { kind: 'SYSTEM', id: 'purser' } };
}

/** As somebody sets it who may: `{ threshold: '100' }` or `{ percent: 20 }`. */
export function anAlert(wanted: { readonly threshold: string } | { readonly percent: number }): SetAlertCommand {
  const criterion =
    'percent' in wanted
      ? { threshold: null, percent: wanted.percent }
      : { threshold: credits(wanted.threshold), percent: null };
  return { kind: 'set-alert', ...target, actor: A_KEY, requestId: null, criterion };
}

export function anAlertRemoval(alertId: string): RemoveAlertCommand {
  return { kind: 'remove-alert', ...target, actor: A_KEY, requestId: null, alertId };
}
