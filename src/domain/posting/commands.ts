/**
 * Commands: what callers ask the posting engine to do to one wallet. Everything in a command has been validated for form;
 * whether it may happen is decided under the wallet's lock.
 */

import type { Actor } from '../actor.ts';
import type { AlertCriterion } from '../alerts/alert.ts';
import type { AllocationTarget } from '../allocations/allocation.ts';
import type { Attribution } from '../attribution.ts';
import type { JsonObject } from '../canonical.ts';
import type { Micros } from '../credits/micros.ts';
import type { ReasonCode } from '../ledger/reason-code.ts';
import type { UsageQuantity } from '../pricing/price.ts';
import type { TopUpChoice } from '../purchases/auto-top-up.ts';
import type { PurchaseNews } from '../purchases/purchase.ts';
import { isRefusal, type PlanLimitReached, type Refusal } from '../refusals.ts';
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

/** A command whose effect is written to the audit trail as well. */
export interface Audited {
  /** The id of the request in the log. */
  readonly requestId: string | null;
}

/** What is charged: an amount that the caller has worked out, or usage that the rate card prices. */
export type Charge =
  | { readonly kind: 'amount'; readonly amount: Micros }
  | { readonly kind: 'usage'; readonly usage: readonly UsageQuantity[] };

/** What happens to a charge that is more than what is there: refused, charged as far as it goes, or owed. */
export type OveragePolicy = 'REJECT' | 'CAP' | 'DEBT';

export interface DebitCommand extends OnWallet, Keyed {
  readonly kind: 'debit';
  readonly charge: Charge;
  readonly overage: OveragePolicy;
  readonly reasonCode: ReasonCode;
  readonly description: string | null;
  readonly attribution: Attribution;
  readonly occurredAt: Instant | null;
  readonly metadata: JsonObject | null;
}

export interface AuthorizeCommand extends OnWallet, Keyed {
  readonly kind: 'authorize';
  readonly charge: Charge;
  /** In milliseconds; null takes the catalog's default. */
  readonly life: number | null;
  readonly attribution: Attribution;
  readonly metadata: JsonObject | null;
}

export interface CaptureCommand extends OnWallet, Keyed {
  readonly kind: 'capture';
  readonly holdId: string;
  /** Null takes all that is left of the hold. */
  readonly charge: Charge | null;
  /** True releases what is left after it. */
  readonly final: boolean;
  readonly overage: OveragePolicy;
}

export interface ReleaseCommand extends OnWallet, Keyed {
  readonly kind: 'release';
  readonly holdId: string;
}

export interface ExtendCommand extends OnWallet, Keyed {
  readonly kind: 'extend';
  readonly holdId: string;
  /** Milliseconds from now to its new expiry. */
  readonly life: number;
}

export interface RefundCommand extends OnWallet, Keyed, Audited {
  readonly kind: 'refund';
  readonly transactionId: string;
  /** Null gives back all that has not been given back. */
  readonly amount: Micros | null;
  readonly description: string | null;
}

export interface SubscribeCommand extends OnWallet, Keyed, Audited {
  readonly kind: 'subscribe';
  /** What the plan gives is what the catalog in force says when this is decided. */
  readonly planKey: string;
  /** Null lets an upgrade begin now and everything else at the end of the period. */
  readonly when: 'NOW' | 'PERIOD_END' | null;
  /** The instant of a preview whose price is asked for; null for now. */
  readonly prorationAt: Instant | null;
  /** What of the organization is more than the plan allows; null where nothing is. */
  readonly exceeded: PlanLimitReached | null;
  /** The payment provider that is asked for what the plan costs. */
  readonly provider: string;
}

/** Ends the subscription, now or with its period. */
export interface CancelSubscriptionCommand extends OnWallet, Audited {
  readonly kind: 'cancel-subscription';
  readonly atPeriodEnd: boolean;
}

/** Lets a subscription go on that would have ended with its period. */
export interface ResumeSubscriptionCommand extends OnWallet, Audited {
  readonly kind: 'resume-subscription';
}

export type EventsMode = 'EACH' | 'UNTIL_BLOCKED' | 'ALL_OR_NOTHING';

/**
 * Usage events of one wallet, decided one after the other in one transaction, each with a key of its own. An event that was
 * found invalid before stands as its refusal.
 */
export interface EventsCommand extends OnWallet {
  readonly kind: 'events';
  readonly mode: EventsMode;
  readonly events: readonly (DebitCommand | Refusal)[];
}

export interface RedeemCommand extends OnWallet, Keyed, Audited {
  readonly kind: 'redeem';
  /** In capitals. */
  readonly code: string;
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

/** Takes back what is left of a granted lot. */
export interface RevokeGrantCommand extends OnWallet, Keyed, Audited {
  readonly kind: 'revoke-grant';
  readonly lotId: string;
  readonly description: string;
}

/** Begins to give the money of a purchase back; the provider's news completes it. */
export interface RefundPurchaseCommand extends OnWallet, Keyed, Audited {
  readonly kind: 'refund-purchase';
  readonly purchaseId: string;
  readonly description: string | null;
}

/** The payment provider has declined a refund that was begun. */
export interface CancelRefundCommand extends OnWallet {
  readonly kind: 'cancel-refund';
  readonly purchaseId: string;
  /** Its reason, where it gave one. */
  readonly declineCode: string | null;
}

/** What the payment provider says of a purchase; repeated and late news change nothing. */
export interface ResolvePurchaseCommand extends OnWallet {
  readonly kind: 'resolve-purchase';
  readonly purchaseId: string;
  readonly news: PurchaseNews;
  /** The provider's own id of the charge, where it has none yet. */
  readonly reference?: string;
}

/** Says when top-ups begin by themselves, and what they buy; what is null stays as it was. */
export interface ConfigureAutoTopUpCommand extends OnWallet, Audited {
  readonly kind: 'configure-auto-top-up';
  readonly enabled: boolean;
  readonly threshold: Micros | null;
  readonly choice: TopUpChoice | null;
  readonly monthlyCeilingMinor: bigint | null;
}

/** Sets an alert; the same again answers the one that is there. */
export interface SetAlertCommand extends OnWallet, Audited {
  readonly kind: 'set-alert';
  readonly criterion: AlertCriterion;
}

export interface RemoveAlertCommand extends OnWallet, Audited {
  readonly kind: 'remove-alert';
  readonly alertId: string;
}

/** Says how much is earmarked for a project or member. */
export interface SetAllocationCommand extends OnWallet, Audited, AllocationTarget {
  readonly kind: 'set-allocation';
  readonly credits: Micros;
  /** Null leaves it as it is; it is not at first. */
  readonly exclusive: boolean | null;
}

/** Posts what is due on the wallet and nothing else. */
export interface SettleCommand extends OnWallet {
  readonly kind: 'settle';
}

/** Begins the charges that are due on the wallet while nobody is there to pay, and names those under way. */
export interface CollectCommand extends OnWallet {
  readonly kind: 'collect';
  /** The payment provider that is asked for the money. */
  readonly provider: string;
}

/** Commands upon a hold that is there. */
export type HoldCommand = CaptureCommand | ReleaseCommand | ExtendCommand;
export type KeyedCommand =
  | DebitCommand
  | AuthorizeCommand
  | HoldCommand
  | RefundCommand
  | SubscribeCommand
  | RedeemCommand
  | GrantCommand
  | AdjustCommand
  | RevokeGrantCommand
  | RefundPurchaseCommand;
export type AlertCommand = SetAlertCommand | RemoveAlertCommand;
export type SubscriptionCommand = CancelSubscriptionCommand | ResumeSubscriptionCommand;
export type Command =
  | KeyedCommand
  | EventsCommand
  | ResolvePurchaseCommand
  | CancelRefundCommand
  | SubscriptionCommand
  | CollectCommand
  | ConfigureAutoTopUpCommand
  | AlertCommand
  | SetAllocationCommand
  | SettleCommand;

export function isKeyed(command: Command): command is KeyedCommand {
  return 'idempotencyKey' in command;
}

/** The keyed commands of a batch, events one by one. */
export function keyedCommands(commands: readonly Command[]): readonly KeyedCommand[] {
  return commands.flatMap((command): readonly KeyedCommand[] => {
    if (command.kind === 'events') return command.events.flatMap((event) => (isRefusal(event) ? [] : [event]));
    return isKeyed(command) ? [command] : [];
  });
}

/** True for calls that are undone as a whole where one of their events is refused. */
export const isUndoable = (command: Command): boolean =>
  command.kind === 'events' && command.mode === 'ALL_OR_NOTHING' && command.events.length > 1;

/** How much of a batch's bound a command takes. */
export const weightOf = (command: Command): number => (command.kind === 'events' ? command.events.length : 1);
