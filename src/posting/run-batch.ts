/**
 * One batch from lock to answer. Faults of posting are handled by kind: a lost connection or a lost race runs the same
 * commands again (their keys make that safe even if the lost COMMIT took effect); anything else bisects the batch, so that one
 * poisoned command fails alone. Once it is known to be committed, nothing runs again. Nothing is decided by a catalog that is no
 * longer in force: each batch asks for its version under the locks.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { HoldState } from '../domain/holds/hold.ts';
import { EXPLAINED_LOTS } from '../domain/posting/assess-charge.ts';
import { type BatchDecision, decideBatch, type NeedsLots } from '../domain/posting/decide-batch.ts';
import type { GivenAnswer } from '../domain/posting/idempotency.ts';
import type { EventOutcome, Outcome } from '../domain/posting/outcomes.ts';
import type { Policies } from '../domain/posting/policies.ts';
import { beginAndLoad } from '../persistence/batch/load-batch.ts';
import type { LoadLimits } from '../persistence/batch/wallet-rows.ts';
import { rollBack, writeAndCommit } from '../persistence/batch/write-batch.ts';
import type { Queryable, Sql } from '../persistence/connection.ts';
import { isConnectionLoss, isRetryable, isUnavailable } from '../persistence/errors.ts';
import { CatalogUnreadable, DatabaseUnavailable, PostingFailed } from './errors.ts';
import type { PendingCommand } from './lane.ts';

/** Told after a commit, never before. */
export interface LiveFeed {
  published(changes: readonly { readonly walletId: string }[]): void;
}

/** What batches are posted with. */
export interface BatchRunner {
  readonly sql: Sql;
  readonly policies: () => Policies;
  /** Brings the policies up to date with the catalog in the database. */
  readonly refreshPolicies: () => Promise<unknown>;
  readonly newId: () => string;
  readonly feed: LiveFeed;
  readonly logger: Logger;
}

/** Of lots, as many as explain a refusal: to refuse costs one round of loading. */
export const FIRST_LIMITS: LoadLimits = { lotsPerBucket: EXPLAINED_LOTS, duePerWallet: 500 };
const MORE_LOTS_FACTOR = 16;

/** The loaded lots did not cover the demand: many more of them. */
export const withMoreLots = (limits: LoadLimits): LoadLimits => ({
  ...limits,
  lotsPerBucket: limits.lotsPerBucket * MORE_LOTS_FACTOR,
});

const ATTEMPTS = 6;
const FIRST_PAUSE_MILLISECONDS = 20;

export async function runBatch(runner: BatchRunner, batch: readonly PendingCommand[]): Promise<void> {
  let perhapsPosted: BatchDecision | null = null;
  for (let attempt = 1; ; attempt++) {
    let decision: BatchDecision;
    try {
      decision = await postOnce(runner, batch);
    } catch (error) {
      if (error instanceof CatalogUnreadable) {
        runner.logger.error({ err: error, commands: batch.length }, 'posting batch was not decided');
        return rejectAll(batch, error);
      }
      if (error instanceof CommitUnknown) perhapsPosted = error.decision;
      const isWorthAnother = isConnectionLoss(error) || isRetryable(error) || error instanceof CommitUnknown;
      if (!isWorthAnother && isUnavailable(error)) return rejectAll(batch, new DatabaseUnavailable(error));
      if (!isWorthAnother) return bisect(runner, batch, error);
      if (attempt === ATTEMPTS) return rejectAll(batch, new DatabaseUnavailable(error));
      runner.logger.warn({ err: error, attempt, commands: batch.length }, 'posting batch is tried again');
      await delay(FIRST_PAUSE_MILLISECONDS * 2 ** attempt * (0.5 + Math.random()));
      continue;
    }
    // Outside of the try: what goes wrong from here on must not run commands again, for not all of them have a key.
    answer(batch, decision, perhapsPosted);
    return publish(runner, decision);
  }
}

function answer(
  batch: readonly PendingCommand[],
  { outcomes }: BatchDecision,
  perhapsPosted: BatchDecision | null,
): void {
  for (const [index, outcome] of outcomes.entries()) {
    batch[index]?.resolve(firstAnswer(outcome, perhapsPosted?.outcomes[index]));
  }
}

/** Followers that are not told look again after a while. */
function publish({ feed, logger }: BatchRunner, decision: BatchDecision): void {
  try {
    feed.published(changedWallets(decision));
  } catch (error) {
    logger.error({ err: error, commands: decision.outcomes.length }, 'a posted batch was not published');
  }
}

/** The wallets whose followers have something to read. */
function changedWallets({ books, activities }: BatchDecision): { readonly walletId: string }[] {
  const told = new Set(activities.map(({ organizationId }) => organizationId));
  const changed = books.filter(
    ({ changes, alerts, snapshot }) =>
      changes.length > 0 || alerts.events.length > 0 || told.has(snapshot.organizationId),
  );
  return changed.map(({ snapshot }) => ({ walletId: snapshot.id }));
}

/** The connection was lost while a decision was being committed: only its keys can tell whether it took effect. */
class CommitUnknown extends Error {
  readonly decision: BatchDecision;
  constructor(decision: BatchDecision, cause: unknown) {
    super('the connection was lost during a commit', { cause });
    this.decision = decision;
  }
}

/** Whoever never got the first answer gets it as such, although the books gave it to us as a replay. */
function firstAnswer(outcome: Outcome, decided: Outcome | undefined): Outcome {
  if (outcome.status === 'events' && decided?.status === 'events') {
    const outcomes = outcome.outcomes.map(
      (event, index) => firstAnswer(event, decided.outcomes[index]) as EventOutcome,
    );
    return { ...outcome, outcomes };
  }
  if (outcome.status === 'replayed') return decided && isAnswerOf(decided, outcome.answer) ? decided : outcome;
  const isOwnRefusal = outcome.status === 'refused' && outcome.replayed && decided?.status === 'refused';
  return isOwnRefusal ? { ...outcome, replayed: decided.replayed } : outcome;
}

/** Whether the stored answer is that of the decision: it was then our own commit whose answer was lost. */
function isAnswerOf(decided: Outcome, answer: GivenAnswer): boolean {
  switch (decided.status) {
    case 'posted':
      return 'transactionId' in answer && answer.transactionId === decided.transaction.id;
    case 'held':
      // A hold is made under one key and changed under others: the change is ours where it left the same state.
      return (
        'hold' in answer && answer.hold?.id === decided.hold.facts.id && isSameState(answer.hold, decided.hold.state)
      );
    case 'subscribed':
      return 'subscriptionId' in answer && answer.subscriptionId === decided.subscriptionId;
    case 'plan-purchase-begun':
    case 'refund-begun':
      return 'purchaseId' in answer && answer.purchaseId === decided.purchaseId;
    default:
      return false;
  }
}

const isSameState = (a: HoldState, b: HoldState): boolean => a.status === b.status && a.expiresAt === b.expiresAt;

async function bisect(runner: BatchRunner, batch: readonly PendingCommand[], error: unknown): Promise<void> {
  runner.logger.error({ err: error, commands: batch.length }, 'posting batch failed');
  if (batch.length === 1) return rejectAll(batch, new PostingFailed(error));
  const middle = Math.ceil(batch.length / 2);
  await runBatch(runner, batch.slice(0, middle));
  await runBatch(runner, batch.slice(middle));
}

function rejectAll(batch: readonly PendingCommand[], error: Error): void {
  for (const pending of batch) pending.reject(error);
}

async function postOnce(runner: BatchRunner, batch: readonly PendingCommand[]): Promise<BatchDecision> {
  const { sql, release } = await runner.sql.connect();
  try {
    for (let limits = FIRST_LIMITS; ; ) {
      const decision = await decideAndWrite(runner, sql, batch, limits);
      if (decision.kind === 'decided') {
        release();
        return decision;
      }
      if (decision.kind === 'needs-lots') {
        limits = withMoreLots(limits);
      } else {
        await refreshPolicies(runner, decision.catalogVersion);
      }
    }
  } catch (error) {
    // A fresh connection costs less than finding out what state this one is in; closing it rolls back.
    release(error);
    throw error;
  }
}

export async function refreshPolicies(runner: BatchRunner, needed: number): Promise<void> {
  await runner.refreshPolicies().catch((error: unknown) => {
    throw isUnavailable(error) ? error : new CatalogUnreadable(error);
  });
  if (runner.policies().catalogVersion < needed) throw new Error(`version ${needed} of the catalog was not found`);
}

/** A newer catalog than that of the policies is in force: bring them up to date and decide again. */
interface OutdatedPolicies {
  readonly kind: 'outdated-policies';
  readonly catalogVersion: number;
}

async function decideAndWrite(
  { policies: currentPolicies, newId }: BatchRunner,
  sql: Queryable,
  batch: readonly PendingCommand[],
  limits: LoadLimits,
): Promise<BatchDecision | NeedsLots | OutdatedPolicies> {
  const commands = batch.map((pending) => pending.command);
  const policies = currentPolicies();
  const loaded = await beginAndLoad(sql, commands, limits, policies);
  if (policies.catalogVersion < loaded.catalogVersion) {
    await rollBack(sql);
    return { kind: 'outdated-policies', catalogVersion: loaded.catalogVersion };
  }
  const decision = decideBatch({ ...loaded, commands, policies, newId });
  if (decision.kind === 'needs-lots') {
    await rollBack(sql);
    return decision;
  }
  // Found before the commit, for after it there is nothing to answer with.
  if (decision.outcomes.length !== commands.length) throw new Error('a decision has an outcome for every command');
  await writeAndCommit(sql, decision).catch((error: unknown) => {
    throw isConnectionLoss(error) ? new CommitUnknown(decision, error) : error;
  });
  return decision;
}
