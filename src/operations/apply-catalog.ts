/**
 * Applies a catalog: stores it as a new version, gives all wallets its buckets and subscribers its allowances, and records
 * who did it, in one transaction. Whoever applies one waits for those before; nothing happens where nothing differs.
 *
 * Refusals: InvalidInput (what the YAML has wrong, each with its line; a bucket that changes its kind; rates that would take
 * effect in the past or before those of an earlier version). Throws Forbidden.
 */
import type { Actor } from '../domain/actor.ts';
import { type CatalogProposal, decideCatalog } from '../domain/catalog/decide-catalog.ts';
import type { CatalogChange } from '../domain/catalog/diff-catalogs.ts';
import { type CatalogProblem, formatProblem } from '../domain/catalog/locate-problems.ts';
import { type ParsedCatalog, parseCatalog } from '../domain/catalog/parse-catalog.ts';
import { actorOf, mayAnywhere, type SignedInCaller } from '../domain/identity/caller.ts';
import { type InvalidInput, invalidInput } from '../domain/plain-refusals.ts';
import { formatInstant, type Instant } from '../domain/time/instant.ts';
import { insertAudit } from '../persistence/audit.ts';
import { insertCatalog, lockCatalogs } from '../persistence/catalogs.ts';
import { databaseNow } from '../persistence/clock.ts';
import type { Sql } from '../persistence/connection.ts';
import { upsertBucketsOfAll } from '../persistence/organizations.ts';
import { insertPromoCodes } from '../persistence/redemptions.ts';
import { changeAllowances } from '../persistence/subscriptions.ts';
import { Forbidden } from './authorize.ts';
import type { CatalogSnapshot, CatalogStore } from './catalog-store.ts';
import type { Services } from './services.ts';

export interface ApplyCatalogInput {
  readonly yaml: string;
  readonly dryRun?: boolean | null | undefined;
}

export interface AppliedCatalog {
  readonly changes: readonly CatalogChange[];
  /** True where a new version was stored. */
  readonly applied: boolean;
  /** The newest version there is now. */
  readonly version: number;
  /** From when its rates, or those that would be applied, price usage. */
  readonly effectiveAt: Instant;
}

export interface RefusedCatalog {
  /** Each with its line: "line 12: buckets.0.kind: …". */
  readonly problems: readonly string[];
}

const refused = (problems: readonly CatalogProblem[]): RefusedCatalog => ({ problems: problems.map(formatProblem) });

export async function applyCatalog(
  { sql, catalogs, newId, requestId }: Services,
  caller: SignedInCaller,
  { yaml, dryRun }: ApplyCatalogInput,
): Promise<AppliedCatalog | InvalidInput> {
  if (!mayAnywhere(caller, 'operate')) throw new Forbidden();
  const outcome =
    dryRun === true
      ? await compareCatalog(catalogs, sql, yaml)
      : await storeCatalog(catalogs, sql, { yaml, actor: actorOf(caller), newId, requestId });
  return 'problems' in outcome ? invalidInput(['yaml'], reasonOf(outcome)) : outcome;
}

/** A text of which every line is wrong must not make an answer many times its size. */
const MAX_PROBLEMS_TOLD = 1_000;

function reasonOf({ problems }: RefusedCatalog): string {
  const told = problems.slice(0, MAX_PROBLEMS_TOLD);
  const untold = problems.length - told.length;
  return ['cannot be applied:', ...told, ...(untold > 0 ? [`and ${untold} more`] : [])].join('\n');
}

/** What applying the catalog would change. */
export async function compareCatalog(
  catalogs: CatalogStore,
  sql: Sql,
  yaml: string,
): Promise<AppliedCatalog | RefusedCatalog> {
  const parsed = parseCatalog(yaml);
  if (!parsed.ok) return refused(parsed.problems);
  const inForce = await catalogs.refresh(sql);
  const proposal = decide(inForce, parsed, await databaseNow(sql));
  if ('problems' in proposal) return proposal;
  return { ...proposal, applied: false, version: inForce.version };
}

export interface CatalogToStore {
  readonly yaml: string;
  /** Whom the version and the audit trail name. */
  readonly actor: Actor;
  readonly newId: () => string;
  readonly requestId: string | null;
}

export async function storeCatalog(
  catalogs: CatalogStore,
  sql: Sql,
  { yaml, actor, newId, requestId }: CatalogToStore,
): Promise<AppliedCatalog | RefusedCatalog> {
  const parsed = parseCatalog(yaml);
  if (!parsed.ok) return refused(parsed.problems);
  // Reading the older versions takes time that others would wait for.
  await catalogs.refresh(sql);
  const outcome = await sql.begin(async (tx): Promise<AppliedCatalog | RefusedCatalog> => {
    await lockCatalogs(tx);
    const inForce = await catalogs.refresh(tx);
    const now = await databaseNow(tx);
    const proposal = decide(inForce, parsed, now);
    if ('problems' in proposal) return proposal;
    const { changes, effectiveAt } = proposal;
    if (changes.length === 0) return { changes, applied: false, version: inForce.version, effectiveAt };
    const version = inForce.version + 1;
    await insertCatalog(tx, { version, source: yaml, effectiveAt, appliedAt: now, appliedBy: actor.id });
    await insertPromoCodes(
      tx,
      parsed.catalog.promoCodes.map(({ code }) => code),
    );
    if (proposal.bucketsChanged) await upsertBucketsOfAll(tx, parsed.catalog.buckets);
    await changeAllowances(tx, proposal.changedAllowances);
    await insertAudit(tx, {
      id: newId(),
      organizationId: null,
      action: 'applyCatalog',
      actor,
      before: { rateCardVersion: inForce.version },
      after: { rateCardVersion: version, effectiveAt: formatInstant(effectiveAt), changes: changes.length },
      requestId,
    });
    return { changes, applied: true, version, effectiveAt };
  });
  await catalogs.refresh(sql);
  return outcome;
}

function decide(
  { versions }: CatalogSnapshot,
  { catalog, problemAt }: Extract<ParsedCatalog, { readonly ok: true }>,
  now: Instant,
): CatalogProposal | RefusedCatalog {
  const decision = decideCatalog(versions, catalog, now);
  if (decision.kind === 'proposal') return decision;
  return refused(decision.obstacles.map(({ path, message }) => problemAt(path, message)));
}
