/**
 * Ingests usage events, each with its own key and its own outcome. Events of one wallet are decided in the order given.
 *
 * Refusals of the call: InvalidInput (none or too many events, all or nothing of several organizations), NotFound
 * (organization). Refusals of an event: those of `debit`, and NotAttempted. Throws Forbidden, and the engine's faults.
 */
import { type Micros, plus, ZERO } from '../domain/credits/micros.ts';
import { groupBy } from '../domain/group-by.ts';
import { actorOf, type SignedInCaller, type Tenant } from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput, type NotFound } from '../domain/plain-refusals.ts';
import type { DebitCommand, EventsMode } from '../domain/posting/commands.ts';
import type { EventOutcome } from '../domain/posting/outcomes.ts';
import type { PricedLine } from '../domain/pricing/price.ts';
import { isRefusal, type Refusal } from '../domain/refusals.ts';
import { decodeLines } from '../persistence/batch/line-codec.ts';
import { findTransactions, rowOf, type TransactionRow } from '../persistence/transactions.ts';
import { AttributionResolver } from './attribution.ts';
import { tenantFor } from './authorize.ts';
import { checkDebit, type DebitInput, debitCommand } from './debit.ts';
import { replayedAnswer, transactionIdOf, WalletBusy } from './outcome.ts';
import type { Services } from './services.ts';
import { chargeOf, type UsageInput } from './usage-input.ts';

export interface UsageEventInput extends Omit<DebitInput, 'amount' | 'usage' | 'reasonCode' | 'description'> {
  readonly usage: UsageInput;
}

export interface RecordUsageInput {
  readonly organizationId?: string | null | undefined;
  readonly events: readonly UsageEventInput[];
  readonly mode?: EventsMode | null | undefined;
}

export type EventStatus = 'ACCEPTED' | 'DUPLICATE' | 'REJECTED';

export interface EventResult {
  readonly idempotencyKey: string;
  readonly status: EventStatus;
  readonly credits: Micros;
  /** Null where it was refused. Made when it is asked for: most callers of thousands of events do not. */
  readonly transaction: (() => TransactionRow) | null;
  readonly refusal: Refusal | null;
}

export interface RecordedUsage {
  readonly results: readonly EventResult[];
  /** Lines of accepted events only. */
  readonly lines: readonly PricedLine[];
  readonly credits: Micros;
  /** Null where the events were of more than one organization. */
  readonly available: Micros | null;
}

const MAX_EVENTS = 5_000;
/** Events that are posted in one transaction unless they must be all or nothing. */
const EVENTS_PER_TRANSACTION = 500;

export async function recordUsage(
  services: Services,
  caller: SignedInCaller,
  input: RecordUsageInput,
): Promise<RecordedUsage | NotFound | InvalidInput> {
  const { events } = input;
  const mode = input.mode ?? 'EACH';
  if (events.length === 0) return invalidInput(['events'], 'must have at least one event');
  if (events.length > MAX_EVENTS) return invalidInput(['events'], `must have at most ${MAX_EVENTS} events`);
  const tenants = await resolveTenants(services, caller, input);
  if (isRefusal(tenants)) return tenants;
  const wallets = new Set([...tenants.values()].map((tenant) => tenant.walletId));
  if (mode === 'ALL_OR_NOTHING' && wallets.size > 1) {
    return invalidInput(['mode'], 'ALL_OR_NOTHING takes the events of one organization');
  }
  const attributions = new AttributionResolver(services, caller);
  const given = await Promise.all(
    events.map(async (event, index): Promise<GivenEvent> => {
      const tenant = tenants.get(event.organizationId ?? null);
      if (!tenant) throw new Error('every event has an organization');
      return { index, tenant, event: await commandFor(services, caller, attributions, tenant, event) };
    }),
  );
  const outcomes = new Map<number, EventOutcome>();
  const byWallet = [...groupBy(given, ({ tenant }) => tenant.walletId).values()];
  await Promise.all(byWallet.map((ofWallet) => post(services, caller, mode, ofWallet, outcomes)));
  return report(services, input, outcomes, wallets.size);
}

interface GivenEvent {
  readonly index: number;
  readonly tenant: Tenant;
  readonly event: DebitCommand | Refusal;
}

/** Posts the events of one wallet in their order, in as many transactions as the mode allows. */
async function post(
  { engine }: Services,
  caller: SignedInCaller,
  mode: EventsMode,
  given: readonly GivenEvent[],
  outcomes: Map<number, EventOutcome>,
): Promise<void> {
  const size = mode === 'ALL_OR_NOTHING' ? given.length : EVENTS_PER_TRANSACTION;
  const chunks = Array.from({ length: Math.ceil(given.length / size) }, (_, n) =>
    given.slice(n * size, (n + 1) * size),
  );
  const execute = async (chunk: readonly GivenEvent[]): Promise<boolean> => {
    const [first] = chunk;
    if (!first) return false;
    const events = chunk.map(({ event }) => event);
    const outcome = await engine.execute({ kind: 'events', ...first.tenant, actor: actorOf(caller), mode, events });
    if (outcome.status === 'busy') throw new WalletBusy();
    if (outcome.status !== 'events') throw new Error(`events were answered with ${outcome.status}`);
    for (const [place, { index }] of chunk.entries()) {
      const found = outcome.outcomes[place];
      if (!found) throw new Error('every event has an outcome');
      outcomes.set(index, found);
    }
    return outcome.outcomes.some(({ status }) => status === 'refused');
  };
  if (mode === 'EACH') {
    await Promise.all(chunks.map(execute));
    return;
  }
  for (const chunk of chunks) if (await execute(chunk)) return;
}

type Tenants = ReadonlyMap<string | null, Tenant>;

/** Each organization named, once. Whatever an event leaves out is the call's. */
async function resolveTenants(
  services: Services,
  caller: SignedInCaller,
  { organizationId = null, events }: RecordUsageInput,
): Promise<Tenants | NotFound | InvalidInput> {
  const tenants = new Map<string | null, Tenant>();
  for (const named of new Set(events.map((event) => event.organizationId ?? null))) {
    const tenant = await tenantFor(services, caller, 'usage:write', named ?? organizationId);
    if (isRefusal(tenant)) return tenant;
    tenants.set(named, tenant);
  }
  return tenants;
}

async function commandFor(
  services: Services,
  caller: SignedInCaller,
  attributions: AttributionResolver,
  tenant: Tenant,
  event: UsageEventInput,
): Promise<DebitCommand | Refusal> {
  const problem = checkDebit(event);
  if (problem) return problem;
  const charge = chargeOf({ usage: [event.usage] }, services.catalogs.policies);
  if (isRefusal(charge)) return charge;
  const attribution = await attributions.resolve(tenant, event);
  return isRefusal(attribution)
    ? attribution
    : debitCommand('recordUsage', { caller, tenant, attribution, charge, input: event });
}

/** Events without an outcome come after one that was refused, and were not tried. */
async function report(
  { prisma }: Services,
  { events }: RecordUsageInput,
  outcomes: ReadonlyMap<number, EventOutcome>,
  wallets: number,
): Promise<RecordedUsage> {
  const replayed = [...outcomes.values()].flatMap((outcome) =>
    outcome.status === 'replayed' ? [transactionIdOf(outcome.answer)] : [],
  );
  const replays = await findTransactions(prisma, replayed);
  const results = events.map(({ idempotencyKey }, index) =>
    resultOf(idempotencyKey, index, outcomes.get(index), replays),
  );
  const inOrder = events.flatMap((_, index) => outcomes.get(index) ?? []);
  const lines = inOrder.flatMap((outcome) => (outcome.status === 'posted' ? outcome.transaction.lines : []));
  const available = inOrder.at(-1)?.availableNow ?? null;
  return { results, lines, credits: creditsOf(lines), available: wallets === 1 ? available : null };
}

function resultOf(
  idempotencyKey: string,
  index: number,
  outcome: EventOutcome | undefined,
  replays: ReadonlyMap<string, TransactionRow>,
): EventResult {
  if (outcome === undefined || outcome.status === 'refused') {
    const refusal = outcome?.refusal ?? { code: 'NOT_ATTEMPTED' };
    const status = outcome?.replayed ? 'DUPLICATE' : 'REJECTED';
    return { idempotencyKey, status, credits: ZERO, transaction: null, refusal: ofEvent(index, refusal) };
  }
  if (outcome.status === 'posted') {
    const { transaction } = outcome;
    const credits = creditsOf(transaction.lines);
    return { idempotencyKey, status: 'ACCEPTED', credits, transaction: () => rowOf(transaction), refusal: null };
  }
  const { transaction } = replayedAnswer(outcome, replays);
  const credits = creditsOf(decodeLines(transaction.lines));
  return { idempotencyKey, status: 'DUPLICATE', credits, transaction: () => transaction, refusal: null };
}

/** The refusal of a debit as that of an event: an event is an item of a list and has one usage line, not a list of them. */
function ofEvent(index: number, refusal: Refusal): Refusal {
  if (refusal.code !== 'INVALID_INPUT') return refusal;
  const [first, position, ...rest] = refusal.path;
  const path = first === 'usage' && position !== undefined ? [first, ...rest] : refusal.path;
  return { ...refusal, path: ['events', String(index), ...path] };
}

const creditsOf = (lines: readonly PricedLine[]): Micros =>
  lines.reduce((total, line) => plus(total, line.credits), ZERO);
