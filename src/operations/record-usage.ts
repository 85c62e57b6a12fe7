/**
 * Ingests usage events, each with its own key and its own outcome. Events of one wallet are decided in the order given.
 *
 * Refusals of the call: InvalidInput (none or too many events), NotFound (organization). Refusals of an event: those of
 * `debit`. Throws Forbidden, and the engine's faults.
 */
import { type Micros, plus, ZERO } from '../domain/credits/micros.ts';
import type { SignedInCaller, Tenant } from '../domain/identity/caller.ts';
import type { DebitCommand } from '../domain/posting/commands.ts';
import type { Outcome } from '../domain/posting/outcomes.ts';
import type { PricedLine } from '../domain/pricing/price.ts';
import { type InvalidInput, invalidInput, isRefusal, type NotFound, type Refusal } from '../domain/refusals.ts';
import { decodeLines } from '../persistence/line-codec.ts';
import { findTransactions, type TransactionRow } from '../persistence/transactions.ts';
import { AttributionResolver } from './attribution.ts';
import { tenantFor } from './authorize.ts';
import { chargeOf, checkDebit, type DebitInput, debitCommand, type UsageInput } from './debit.ts';
import { postedAnswer, replayedAnswer, WalletBusy } from './outcome.ts';
import type { Services } from './services.ts';

export interface UsageEventInput extends Omit<DebitInput, 'amount' | 'usage' | 'reasonCode' | 'description'> {
  readonly usage: UsageInput;
}

export interface RecordUsageInput {
  readonly organizationId?: string | null | undefined;
  readonly events: readonly UsageEventInput[];
}

export type EventStatus = 'ACCEPTED' | 'DUPLICATE' | 'REJECTED';

export interface EventOutcome {
  readonly idempotencyKey: string;
  readonly status: EventStatus;
  readonly credits: Micros;
  readonly transaction: TransactionRow | null;
  readonly refusal: Refusal | null;
}

export interface RecordedUsage {
  readonly results: readonly EventOutcome[];
  /** Lines of accepted events only. */
  readonly lines: readonly PricedLine[];
  readonly credits: Micros;
  /** Null where the events were of more than one organization, or none was decided. */
  readonly available: Micros | null;
}

const MAX_EVENTS = 5_000;

export async function recordUsage(
  services: Services,
  caller: SignedInCaller,
  input: RecordUsageInput,
): Promise<RecordedUsage | NotFound | InvalidInput> {
  const { events } = input;
  if (events.length === 0) return invalidInput(['events'], 'must have at least one event');
  if (events.length > MAX_EVENTS) return invalidInput(['events'], `must have at most ${MAX_EVENTS} events`);
  const tenants = await resolveTenants(services, caller, input);
  if (isRefusal(tenants)) return tenants;
  const attributions = new AttributionResolver(services, caller);
  const commands = await Promise.all(
    events.map((event) => commandFor(services, caller, attributions, tenants.get(event.organizationId ?? null), event)),
  );
  const outcomes = await Promise.all(
    commands.map((command) => (isRefusal(command) ? command : services.engine.execute(command))),
  );
  const replays = await findTransactions(
    services.prisma,
    outcomes.filter(isDecided).flatMap((outcome) => (outcome.status === 'replayed' ? [outcome.transactionId] : [])),
  );
  const results = outcomes.map((outcome, index) =>
    eventOutcome(events[index]?.idempotencyKey ?? '', index, outcome, replays),
  );
  return summarize(results, outcomes, new Set([...tenants.values()].map((tenant) => tenant.walletId)).size);
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
  tenant: Tenant | undefined,
  event: UsageEventInput,
): Promise<DebitCommand | Refusal> {
  if (!tenant) throw new Error('every event has an organization');
  const input: DebitInput = { ...event, usage: [event.usage] };
  const problem = checkDebit(input);
  if (problem) return problem;
  const charge = chargeOf(input, services.catalogs.policies);
  if (isRefusal(charge)) return charge;
  const attribution = await attributions.resolve(tenant, input);
  return isRefusal(attribution)
    ? attribution
    : debitCommand('recordUsage', { caller, tenant, attribution, charge, input });
}

function eventOutcome(
  idempotencyKey: string,
  index: number,
  outcome: Outcome | Refusal,
  replays: ReadonlyMap<string, TransactionRow>,
): EventOutcome {
  const rejected = (refusal: Refusal, status: EventStatus = 'REJECTED'): EventOutcome => ({
    idempotencyKey,
    status,
    credits: ZERO,
    transaction: null,
    refusal: ofEvent(index, refusal),
  });
  if (isRefusal(outcome)) return rejected(outcome);
  if (outcome.status === 'busy') throw new WalletBusy();
  if (outcome.status === 'refused') return rejected(outcome.refusal, outcome.replayed ? 'DUPLICATE' : 'REJECTED');
  if (outcome.status !== 'posted' && outcome.status !== 'replayed') throw new Error(`unexpected ${outcome.status}`);
  const answer = outcome.status === 'posted' ? postedAnswer(outcome) : replayedAnswer(outcome, replays);
  const { transaction, replayed } = answer;
  return {
    idempotencyKey,
    status: replayed ? 'DUPLICATE' : 'ACCEPTED',
    credits: creditsOf(decodeLines(transaction.lines)),
    transaction,
    refusal: null,
  };
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

const isDecided = (outcome: Outcome | Refusal): outcome is Outcome => !isRefusal(outcome);

function summarize(
  results: readonly EventOutcome[],
  outcomes: readonly (Outcome | Refusal)[],
  wallets: number,
): RecordedUsage {
  const decided = outcomes.filter(isDecided);
  const lines = decided.flatMap((outcome) => (outcome.status === 'posted' ? outcome.transaction.lines : []));
  const available = decided.findLast((outcome) => 'availableNow' in outcome)?.availableNow ?? null;
  return { results, lines, credits: creditsOf(lines), available: wallets === 1 ? available : null };
}
