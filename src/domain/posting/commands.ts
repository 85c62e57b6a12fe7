/**
 * Commands: what callers ask the posting engine to do to one wallet. Everything in a command has been validated for form;
 * whether it may happen is decided under the wallet's lock.
 */
import type { Actor } from '../actor.ts';
import type { Micros } from '../credits/micros.ts';
import type { JsonObject } from '../ledger/canonical.ts';
import type { UsageQuantity } from '../pricing/price.ts';
import type { PurchaseOutcome } from '../purchases/purchase.ts';
import type { Instant } from '../time/instant.ts';

interface OnWallet {
  readonly walletId: string;
  readonly organizationId: string;
  readonly actor: Actor;
}

/** A command that a caller may repeat: the key is unique in the organization over all operations. */
export interface Keyed {
  readonly idempotencyKey: string;
  /** SHA-256, hexadecimal, of the operation and its normalized input. */
  readonly requestHash: string;
}

export interface Attribution {
  readonly userId: string | null;
  readonly projectId: string | null;
  readonly taskId: string | null;
  readonly executionId: string | null;
}

/** A command whose effect is written to the audit trail as well. */
export interface Audited {
  /** The id of the request in the log. */
  readonly requestId: string | null;
}

/** What is charged: an amount that the caller has worked out, or usage that the rate card prices. */
export type Charge =
  | { readonly kind: 'amount'; readonly amount: Micros }
  | { readonly kind: 'usage'; readonly usage: readonly UsageQuantity[] };

export interface DebitCommand extends OnWallet, Keyed {
  readonly kind: 'debit';
  readonly charge: Charge;
  readonly reasonCode: string;
  readonly description: string | null;
  readonly attribution: Attribution;
  readonly occurredAt: Instant | null;
  readonly metadata: JsonObject | null;
}

export interface GrantCommand extends OnWallet, Keyed, Audited {
  readonly kind: 'grant';
  readonly credits: Micros;
  readonly bucketKey: string;
  /** Null takes the bucket's default. */
  readonly expiresAt: Instant | null;
  readonly description: string;
}

export interface AdjustCommand extends OnWallet, Keyed, Audited {
  readonly kind: 'adjust';
  /** Signed and not zero. */
  readonly credits: Micros;
  readonly bucketKey: string;
  readonly description: string;
}

/** What the payment provider says of a purchase; repeated and late news change nothing. */
export interface ResolvePurchaseCommand extends OnWallet {
  readonly kind: 'resolve-purchase';
  readonly purchaseId: string;
  readonly outcome: PurchaseOutcome;
}

/** Posts what is due on the wallet and nothing else. */
export interface SettleCommand extends OnWallet {
  readonly kind: 'settle';
}

export type KeyedCommand = DebitCommand | GrantCommand | AdjustCommand;
export type Command = KeyedCommand | ResolvePurchaseCommand | SettleCommand;

export function isKeyed(command: Command): command is KeyedCommand {
  return 'idempotencyKey' in command;
}
