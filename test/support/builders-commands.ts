/** Commands to the posting engine, with everything that a test does not care about filled in. */
import type { Actor } from '../../src/domain/actor.ts';
import { formatDecimal } from '../../src/domain/credits/decimal.ts';
import { formatCredits } from '../../src/domain/credits/micros.ts';
import type { JsonObject } from '../../src/domain/ledger/canonical.ts';
import type {
  AdjustCommand,
  Attribution,
  Charge,
  DebitCommand,
  GrantCommand,
  ResolvePurchaseCommand,
  SettleCommand,
} from '../../src/domain/posting/commands.ts';
import { NO_ATTRIBUTION } from '../../src/domain/posting/records.ts';
import { requestHash } from '../../src/domain/posting/request-hash.ts';
import type { UsageQuantity } from '../../src/domain/pricing/price.ts';
import type { PurchaseOutcome } from '../../src/domain/purchases/purchase.ts';
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
}

function debitBy(charge: Charge, canonical: JsonObject, options: DebitOptions): DebitCommand {
  const { key = freshKey(), reasonCode = 'USAGE', occurredAt = null, metadata = null } = options;
  const { walletId = WALLET, organizationId = ORGANIZATION } = options;
  return {
    kind: 'debit',
    walletId,
    organizationId,
    actor: A_KEY,
    idempotencyKey: key,
    requestHash: requestHash('debit', organizationId, { ...canonical, reasonCode, occurredAt, metadata }),
    charge,
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

export function aResolution(purchaseId: string, outcome: PurchaseOutcome): ResolvePurchaseCommand {
  return { kind: 'resolve-purchase', ...target, actor: { kind: 'SYSTEM', id: 'provider' }, purchaseId, outcome };
}

export function aSettlement(): SettleCommand {
  return { kind: 'settle', ...target, actor: { kind: 'SYSTEM', id: 'purser' } };
}
