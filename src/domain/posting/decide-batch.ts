/**
 * The decision over one batch: every command in order, each against the state that the earlier ones left. Pure: the same
 * input gives the same decision, so that the engine may decide again with more lots loaded.
 */

import type { NewActivity } from '../activity/activity.ts';
import type { InvalidInput, NotFound } from '../plain-refusals.ts';
import { isRefusal, isSticky } from '../refusals.ts';
import { type Spender, spenderOf } from '../spender.ts';
import type { Instant } from '../time/instant.ts';
import type { LotSnapshot } from '../wallet/lot.ts';
import { activitiesOf } from './activities-of-batch.ts';
import { landTopUp, watchThreshold } from './collect-top-up.ts';
import {
  type AlertCommand,
  type Command,
  type ConfigureAutoTopUpCommand,
  type EventsCommand,
  isKeyed,
  isUndoable,
  type KeyedCommand,
  type ResolvePurchaseCommand,
  type SetAllocationCommand,
  type SubscriptionCommand,
} from './commands.ts';
import { decideRemoveAlert, decideSetAlert, describeAlert } from './decide-alert.ts';
import { decideSubscriptionChange } from './decide-cancel.ts';
import { checkOccurredAt, decideDebit } from './decide-charge.ts';
import { decideCollect, nextChargeAt } from './decide-collect.ts';
import { decideConfigureAutoTopUp, describeSettings } from './decide-configure-top-up.ts';
import { checkGrant, decideAdjust, decideGrant } from './decide-grant.ts';
import { checkLife, decideAuthorize, decideCapture, decideExtend, decideRelease } from './decide-hold.ts';
import { type DraftPurchase, decideResolvePurchase, draftPurchase, type LoadedPurchase } from './decide-purchase.ts';
import { checkPromoCode, decideRedeem } from './decide-redeem.ts';
import { type DraftRefundable, decideRefund, type RefundableTransaction } from './decide-refund.ts';
import { decideCancelRefund, decideRefundPurchase, decideRevokeGrant } from './decide-revoke.ts';
import { decideSetAllocation } from './decide-set-allocation.ts';
import { checkPlan, decideSubscribe } from './decide-subscribe.ts';
import { type Audited, auditOf, describeAllocation, describeSubscription } from './describe-audit.ts';
import { answerAgain, type IdempotencyRecord, idempotencyId, type Recordable, recordOf } from './idempotency.ts';
import { LotsNotLoaded } from './lot-drafts.ts';
import { type EventOutcome, type Outcome, type Refused, refused } from './outcomes.ts';
import type { Policies } from './policies.ts';
import type { PostedAudit } from './records.ts';
import { type Redemption, type RedemptionCount, RedemptionDrafts } from './redemption-drafts.ts';
import { postDueTransitions } from './transitions.ts';
import { WalletBook } from './wallet-book.ts';
import type { WalletSnapshot } from './wallet-snapshot.ts';
import { watchAlerts } from './watch-alerts.ts';

export interface BatchInput {
  readonly commands: readonly Command[];
  readonly wallets: readonly WalletSnapshot[];
  /** Records found for the commands' keys. */
  readonly records: readonly IdempotencyRecord[];
  /** The purchases that commands name. */
  readonly purchases: readonly LoadedPurchase[];
  /** The lots that commands name. */
  readonly lots: readonly LotSnapshot[];
  /** The transactions that refunds name. */
  readonly refundables: readonly RefundableTransaction[];
  /** Of the promo codes that commands name and the catalog knows. */
  readonly redemptions: readonly RedemptionCount[];
  readonly policies: Policies;
  /** Gives fresh ids, ascending. */
  readonly newId: () => string;
}

export interface BatchDecision {
  readonly kind: 'decided';
  /** One per command, in their order. */
  readonly outcomes: readonly Outcome[];
  readonly books: readonly WalletBook[];
  readonly newRecords: readonly IdempotencyRecord[];
  readonly changedPurchases: readonly DraftPurchase[];
  readonly audits: readonly PostedAudit[];
  readonly redemptions: readonly Redemption[];
  /** What people read about it; usage comes later, in groups. */
  readonly activities: readonly NewActivity[];
}

/** The loaded lots do not cover the batch's demand: load more of them and decide again. */
export interface NeedsLots {
  readonly kind: 'needs-lots';
}

interface BatchState {
  readonly books: ReadonlyMap<string, WalletBook>;
  readonly records: Map<string, IdempotencyRecord>;
  readonly newRecords: IdempotencyRecord[];
  readonly audits: PostedAudit[];
  readonly newId: () => string;
  readonly purchases: ReadonlyMap<string, DraftPurchase>;
  readonly refundables: ReadonlyMap<string, DraftRefundable>;
  readonly lots: ReadonlyMap<string, LotSnapshot>;
  readonly redemptions: RedemptionDrafts;
  /** Calls of all or nothing that are nothing, by the place of their command in the batch. */
  readonly blocked: ReadonlyMap<number, BlockedCall>;
  readonly busy: ReadonlySet<string>;
  readonly policies: Policies;
}

/** An event was refused whose call asked for all or nothing. */
interface BlockedCall {
  readonly event: number;
  readonly outcome: Refused;
}

/** Thrown to decide the batch anew without the effects of that call; it never leaves `decideBatch`. */
class CallBlocked extends Error {
  readonly command: number;
  readonly call: BlockedCall;
  constructor(command: number, call: BlockedCall) {
    super('an event of all or nothing was refused');
    this.command = command;
    this.call = call;
  }
}

/** Gives the same ids in every round: what a blocked call was refused for may name rows that the batch makes before it. */
function sameIds(newId: () => string): () => () => string {
  const given: string[] = [];
  return () => {
    let position = 0;
    return () => {
      const id = given[position] ?? newId();
      given[position] = id;
      position += 1;
      return id;
    };
  };
}

export function decideBatch(input: BatchInput): BatchDecision | NeedsLots {
  const ids = sameIds(input.newId);
  const blocked = new Map<number, BlockedCall>();
  // Every round but the last finds one more call that is blocked.
  for (;;) {
    try {
      return decide({ ...input, newId: ids() }, blocked);
    } catch (error) {
      if (error instanceof LotsNotLoaded) return { kind: 'needs-lots' };
      if (!(error instanceof CallBlocked)) throw error;
      blocked.set(error.command, error.call);
    }
  }
}

function decide(input: BatchInput, blocked: BatchState['blocked']): BatchDecision {
  const books = new Map(input.wallets.map((wallet) => [wallet.id, new WalletBook(wallet, input.newId)]));
  const purchases = input.purchases.map(draftPurchase);
  const busy = new Set<string>();
  for (const book of books.values()) {
    const watch = (at: Instant) => watchAlerts(book, input.policies, at);
    if (!book.snapshot.frozen && !postDueTransitions(book, input.policies, watch)) busy.add(book.snapshot.id);
  }
  const state: BatchState = {
    books,
    records: new Map(input.records.map((record) => [idempotencyId(record), record])),
    newRecords: [],
    audits: [],
    newId: input.newId,
    purchases: new Map(purchases.map((purchase) => [purchase.facts.id, purchase])),
    refundables: new Map(input.refundables.map((facts) => [facts.id, { facts, refunded: facts.refunded }])),
    lots: new Map(input.lots.map((lot) => [lot.id, lot])),
    redemptions: new RedemptionDrafts(input.redemptions),
    blocked,
    busy,
    policies: input.policies,
  };
  const outcomes = input.commands.map((command, index) => {
    const book = bookOf(state, command);
    const firstChange = book.changes.length;
    book.actor = command.actor;
    const outcome = decideCommand(state, book, command, index);
    watchThreshold(book, { command, outcome, firstChange });
    if (!busy.has(command.walletId)) watchAlerts(book, input.policies, book.now);
    return outcome;
  });
  for (const book of books.values()) book.nextChargeAt = nextChargeAt(book, input.policies);
  return {
    kind: 'decided',
    outcomes,
    books: [...books.values()],
    newRecords: state.newRecords,
    audits: state.audits,
    redemptions: state.redemptions.made,
    changedPurchases: purchases.filter((purchase) => purchase.changed),
    activities: activitiesOf({ books: [...books.values()], audits: state.audits, policies: input.policies }),
  };
}

function bookOf({ books }: BatchState, { walletId }: Command): WalletBook {
  const book = books.get(walletId);
  if (!book) throw new Error(`wallet ${walletId} was not loaded`);
  return book;
}

function decideCommand(state: BatchState, book: WalletBook, command: Command, index: number): Outcome {
  if (isKeyed(command)) return decideOnce(state, book, command);
  if (state.busy.has(command.walletId)) return { status: 'busy' };
  switch (command.kind) {
    case 'events':
      return { status: 'events', outcomes: decideEvents(state, book, command, index) };
    case 'settle':
      return { status: 'settled' };
    case 'cancel-refund':
      return decideCancelRefund(book, command, state.purchases.get(command.purchaseId), state.policies);
    case 'resolve-purchase':
      return resolvePurchase(state, book, command);
    case 'collect':
      return decideCollect(book, command, state.policies, state.newId);
    case 'configure-auto-top-up':
      return configureAutoTopUp(state, book, command);
    case 'set-alert':
    case 'remove-alert':
      return changeAlert(state, book, command);
    case 'set-allocation':
      return setAllocation(state, book, command);
    case 'cancel-subscription':
    case 'resume-subscription':
      return changeSubscription(state, book, command);
    default: {
      const never: never = command;
      throw new Error(`unknown command ${JSON.stringify(never)}`);
    }
  }
}

/** The news also ends the flight of a top-up that began by itself. */
function resolvePurchase(state: BatchState, book: WalletBook, command: ResolvePurchaseCommand): Outcome {
  const purchase = state.purchases.get(command.purchaseId);
  const outcome = decideResolvePurchase(book, command, purchase, state.policies, state.newId);
  const { news } = command;
  if (purchase && outcome.status === 'purchase-resolved') {
    landTopUp(book, purchase, news.kind === 'FAILED' ? (news.declineCode ?? null) : null);
  }
  return outcome;
}

function configureAutoTopUp(state: BatchState, book: WalletBook, command: ConfigureAutoTopUpCommand): Outcome {
  const { autoTopUp: earlier } = book;
  const outcome = decideConfigureAutoTopUp(book, command, state.policies);
  if (outcome.status !== 'auto-top-up-configured' || !book.autoTopUp) return outcome;
  const before = earlier && describeSettings(earlier);
  const after = describeSettings(book.autoTopUp);
  const audited = { action: 'configureAutoTopUp', before, after, requestId: command.requestId } as const;
  state.audits.push(auditRecord(state, book, command, audited));
  book.active = true;
  return outcome;
}

function changeAlert(state: BatchState, book: WalletBook, command: AlertCommand): Outcome {
  const isSetting = command.kind === 'set-alert';
  const before = book.alerts.all;
  const outcome = isSetting
    ? decideSetAlert(book, command, state.newId)
    : decideRemoveAlert(book, command, state.policies);
  if (outcome.status !== 'alert-decided' || !outcome.changed) return outcome;
  const { requestId } = command;
  const { alertId } = outcome;
  const audited: Audited = {
    action: isSetting ? 'setAlert' : 'removeAlert',
    before: describeAlert(before, alertId),
    after: describeAlert(book.alerts.all, alertId) ?? { alertId, removed: true },
    requestId,
  };
  state.audits.push(auditRecord(state, book, command, audited));
  book.active = true;
  return outcome;
}

function setAllocation(state: BatchState, book: WalletBook, command: SetAllocationCommand): Outcome {
  if (book.snapshot.frozen) return refused({ code: 'WALLET_FROZEN' }, book.available);
  const before = describeAllocation(book, command);
  const outcome = decideSetAllocation(book, command, state.policies, state.newId);
  if (outcome.status !== 'allocation-set') return outcome;
  const after = describeAllocation(book, command) ?? {};
  book.active = true;
  if (JSON.stringify(before) === JSON.stringify(after)) return outcome;
  const audited = { action: 'setAllocation', before, after, requestId: command.requestId } as const;
  state.audits.push(auditRecord(state, book, command, audited));
  return outcome;
}

function changeSubscription(state: BatchState, book: WalletBook, command: SubscriptionCommand): Outcome {
  const before = describeSubscription(book);
  const outcome = decideSubscriptionChange(book, command);
  if (outcome.status !== 'subscription-changed') return outcome;
  const { requestId } = command;
  const after = describeSubscription(book) ?? {};
  const audited: Audited =
    command.kind === 'cancel-subscription'
      ? { action: 'cancelSubscription', before, after: { ...after, atPeriodEnd: command.atPeriodEnd }, requestId }
      : { action: 'resumeSubscription', before, after, requestId };
  state.audits.push(auditRecord(state, book, command, audited));
  book.active = true;
  return outcome;
}

/** The first command under a key is decided; the same again gets the same answer. */
function decideOnce(state: BatchState, book: WalletBook, command: KeyedCommand): Outcome {
  const earlier = state.records.get(idempotencyId(command));
  if (earlier) return toSpender(book, command, answerAgain(earlier, command, book));
  if (state.busy.has(command.walletId)) return { status: 'busy' };
  const { balance, subscription } = book;
  const outcome = toSpender(book, command, decideFirst(state, book, command));
  record(state, command, outcome);
  const audited = auditOf(command, outcome, { book, earlier: { balance, subscription }, purchases: state.purchases });
  if (audited) state.audits.push(auditRecord(state, book, command, audited));
  if (outcome.status !== 'refused') book.active = true;
  return outcome;
}

/** An answer tells its spender what they can spend, which is not what all together can where something is earmarked. */
function toSpender(book: WalletBook, command: KeyedCommand, outcome: Outcome): Outcome {
  if (!book.hasEarmarks || !('availableNow' in outcome)) return outcome;
  const spender = spenderOfCommand(book, command);
  if (!spender) return outcome;
  const availableNow = book.availableIn(book.fundsOf(spender));
  const isGivenAgain = outcome.status === 'replayed' || (outcome.status === 'refused' && outcome.replayed);
  return isGivenAgain ? { ...outcome, availableNow } : { ...outcome, available: availableNow, availableNow };
}

/** Who spends by a command, or would by its hold; null for commands that spend nothing. */
function spenderOfCommand(book: WalletBook, command: KeyedCommand): Spender | null {
  switch (command.kind) {
    case 'debit':
    case 'authorize':
      return spenderOf(command);
    case 'capture':
    case 'release':
    case 'extend': {
      const hold = book.holds.find(command.holdId);
      return hold ? spenderOf(hold.facts) : null;
    }
    default:
      return null;
  }
}

/** What is answered again: everything that was done, and refusals that stick. */
function isRecordable(outcome: Outcome): outcome is Recordable {
  switch (outcome.status) {
    case 'posted':
    case 'held':
    case 'subscribed':
    case 'plan-purchase-begun':
    case 'refund-begun':
      return true;
    case 'refused':
      return isSticky(outcome.refusal);
    default:
      return false;
  }
}

function record(state: BatchState, command: KeyedCommand, outcome: Outcome): void {
  if (!isRecordable(outcome)) return;
  const answer = recordOf(command, outcome);
  state.records.set(idempotencyId(command), answer);
  state.newRecords.push(answer);
}

/**
 * A command whose key is new. What is invalid by the clock or the books comes after the replay, unlike what is invalid by
 * itself: an answer that was given stays given when its command has grown too old.
 */
function decideFirst(state: BatchState, book: WalletBook, command: KeyedCommand): Outcome {
  const invalid = checkNow(state, book, command);
  if (invalid) return refused(invalid, book.available);
  if (book.snapshot.frozen) return refused({ code: 'WALLET_FROZEN' }, book.available);
  return decideKeyed(state, book, command);
}

function checkNow({ policies }: BatchState, book: WalletBook, command: KeyedCommand): InvalidInput | NotFound | null {
  switch (command.kind) {
    case 'debit':
      return checkOccurredAt(book, command, policies);
    case 'authorize':
      return checkLife(book, command, policies);
    case 'grant':
    case 'adjust':
      return checkGrant(book, command);
    case 'subscribe':
      return checkPlan(book, command, policies);
    case 'redeem':
      return checkPromoCode(book, command, policies);
    default:
      return null;
  }
}

function decideKeyed(state: BatchState, book: WalletBook, command: KeyedCommand): Outcome {
  const { policies } = state;
  switch (command.kind) {
    case 'debit':
      return decideDebit(book, command, policies);
    case 'authorize':
      return decideAuthorize(book, command, policies);
    case 'capture':
      return decideCapture(book, command, policies);
    case 'release':
      return decideRelease(book, command);
    case 'extend':
      return decideExtend(book, command, policies);
    case 'refund':
      return decideRefund(book, command, state.refundables.get(command.transactionId), policies);
    case 'subscribe':
      return decideSubscribe(book, command, policies, state.newId);
    case 'redeem':
      return decideRedeem(book, command, state.redemptions, policies);
    case 'grant':
      return decideGrant(book, command, policies);
    case 'adjust':
      return decideAdjust(book, command, policies);
    case 'revoke-grant':
      return decideRevokeGrant(book, command, state.lots);
    case 'refund-purchase':
      return decideRefundPurchase(book, command, state.purchases.get(command.purchaseId), policies);
    default: {
      const never: never = command;
      throw new Error(`unknown command ${JSON.stringify(never)}`);
    }
  }
}

/** Events in their order; after a refusal the mode says whether the others are tried. */
function decideEvents(
  state: BatchState,
  book: WalletBook,
  command: EventsCommand,
  index: number,
): readonly EventOutcome[] {
  const call = state.blocked.get(index);
  if (call) return nothingOf(state, book, command, call);
  let isBlocked = false;
  return command.events.map((event, position) => {
    if (isBlocked && command.mode !== 'EACH') return refused({ code: 'NOT_ATTEMPTED' }, book.available);
    const outcome = isRefusal(event) ? refused(event, book.available) : eventOutcome(decideOnce(state, book, event));
    if (outcome.status === 'refused') {
      if (isUndoable(command)) throw new CallBlocked(index, { event: position, outcome });
      isBlocked = true;
    }
    return outcome;
  });
}

/** A call of all or nothing with a refused event: that one keeps its refusal, known ones their answers, others nothing. */
function nothingOf(
  state: BatchState,
  book: WalletBook,
  { events }: EventsCommand,
  { event: blocking, outcome }: BlockedCall,
): readonly EventOutcome[] {
  return events.map((event, position) => {
    if (isRefusal(event)) {
      return refused(position === blocking ? outcome.refusal : { code: 'NOT_ATTEMPTED' }, book.available);
    }
    if (position === blocking) {
      if (outcome.replayed) return eventOutcome(toSpender(book, event, { ...outcome, availableNow: book.available }));
      // It was refused for what the events before it left; as they are undone, so is what they took.
      const standing = toSpender(book, event, refused(outcome.refusal, book.available));
      record(state, event, standing);
      return eventOutcome(standing);
    }
    const known = state.records.get(idempotencyId(event));
    const answer = known ? answerAgain(known, event, book) : refused({ code: 'NOT_ATTEMPTED' }, book.available);
    return eventOutcome(toSpender(book, event, answer));
  });
}

function eventOutcome(outcome: Outcome): EventOutcome {
  if (outcome.status === 'posted' || outcome.status === 'replayed' || outcome.status === 'refused') return outcome;
  throw new Error(`an event was answered with ${outcome.status}`);
}

function auditRecord({ newId }: BatchState, { now }: WalletBook, command: Command, audited: Audited): PostedAudit {
  const { organizationId, actor } = command;
  return { id: newId(), organizationId, actor, occurredAt: now, ...audited };
}
