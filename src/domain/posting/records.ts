/** The rows that a decision adds to the books. */

import type { Actor } from '../actor.ts';
import type { AlertTransition } from '../alerts/alert.ts';
import type { Attribution } from '../attribution.ts';
import type { JsonObject } from '../canonical.ts';
import type { Micros } from '../credits/micros.ts';
import type { ReasonCode } from '../ledger/reason-code.ts';
import type { CheckedLimit } from '../limits/spend-limit.ts';
import type { PricedLine } from '../pricing/price.ts';
import type { Instant } from '../time/instant.ts';

export type TransactionKind =
  | 'DEBIT'
  | 'CAPTURE'
  | 'REFUND'
  | 'GRANT'
  | 'PURCHASE'
  | 'EXPIRY'
  | 'ROLLOVER'
  | 'ALLOCATION'
  | 'ADJUSTMENT'
  | 'REVERSAL';

export type Direction = 'CREDIT' | 'DEBIT';

/** Everything about a transaction but its movements. */
export interface TransactionDetails {
  readonly kind: TransactionKind;
  /** The leading reason code, shown by live events. */
  readonly reasonCode: ReasonCode;
  readonly idempotencyKey: string | null;
  readonly actor: Actor;
  readonly attribution: Attribution;
  readonly lines: readonly PricedLine[];
  readonly rateCardVersion: number | null;
  readonly description: string | null;
  readonly metadata: JsonObject | null;
  readonly occurredAt: Instant | null;
  /** When it counts: the instant it was due for transitions, the posting instant for everything else. */
  readonly effectiveAt: Instant;
  readonly purchaseId: string | null;
  /** The hold that a capture uses. */
  readonly holdId: string | null;
  /** The transaction that a refund gives back. */
  readonly refundedId: string | null;
  /** The caps and limits that were checked. */
  readonly limits: readonly CheckedLimit[];
}

/**
 * A transaction's details: what every one has, and what sets this one apart. Written out field by field: one is made for
 * every charge, and copies of objects are slow.
 */
export function transactionDetails({
  kind,
  reasonCode,
  actor,
  effectiveAt,
  idempotencyKey = null,
  attribution = NO_ATTRIBUTION,
  lines = [],
  rateCardVersion = null,
  description = null,
  metadata = null,
  occurredAt = null,
  purchaseId = null,
  holdId = null,
  refundedId = null,
  limits = [],
}: Pick<TransactionDetails, 'kind' | 'reasonCode' | 'actor' | 'effectiveAt'> &
  Partial<TransactionDetails>): TransactionDetails {
  return {
    kind,
    reasonCode,
    actor,
    effectiveAt,
    idempotencyKey,
    attribution,
    lines,
    rateCardVersion,
    description,
    metadata,
    occurredAt,
    purchaseId,
    holdId,
    refundedId,
    limits,
  };
}

export interface PostedTransaction extends TransactionDetails {
  readonly id: string;
  readonly walletId: string;
  /** Signed: negative for spending. */
  readonly amount: Micros;
  readonly postedAt: Instant;
}

export interface PostedEntry {
  readonly walletId: string;
  readonly sequence: bigint;
  readonly transaction: TransactionDetails;
  readonly transactionId: string;
  readonly direction: Direction;
  readonly amount: Micros;
  readonly balanceAfter: Micros;
  readonly reasonCode: ReasonCode;
  readonly lotId: string | null;
  readonly bucketId: string | null;
  readonly meter: string | null;
  readonly postedAt: Instant;
  readonly hash: string;
}

/** One change of what the wallet can spend, numbered by the wallet's version. */
export interface PostedChange {
  readonly walletId: string;
  readonly version: bigint;
  readonly sequence: bigint;
  readonly change: Micros;
  readonly reasonCode: ReasonCode;
  readonly totalAvailable: Micros;
  readonly held: Micros;
  readonly transactionId: string | null;
  readonly occurredAt: Instant;
}

/** An alert that triggered or resolved, numbered by the wallet without gaps. */
export interface PostedAlertEvent {
  readonly walletId: string;
  readonly number: bigint;
  readonly alertId: string;
  readonly transition: AlertTransition;
  /** As of then, also where the alert is a percentage. */
  readonly threshold: Micros;
  readonly totalAvailable: Micros;
  /** The wallet's version then. */
  readonly version: bigint;
  readonly occurredAt: Instant;
}

export const NO_ATTRIBUTION: Attribution = { userId: null, projectId: null, taskId: null, executionId: null };

/** What somebody changed by hand, for the audit trail. */
export interface PostedAudit {
  readonly id: string;
  readonly organizationId: string;
  readonly action:
    | 'grantCredits'
    | 'refund'
    | 'adjustBalance'
    | 'redeemPromoCode'
    | 'selectPlan'
    | 'revokeGrant'
    | 'refundPurchase'
    | 'cancelSubscription'
    | 'configureAutoTopUp'
    | 'setAlert'
    | 'removeAlert'
    | 'setAllocation'
    | 'resumeSubscription';
  readonly actor: Actor;
  /** Null where there was nothing before. */
  readonly before: JsonObject | null;
  readonly after: JsonObject;
  readonly requestId: string | null;
  readonly occurredAt: Instant;
}
