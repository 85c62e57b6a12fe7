/**
 * The decision over a catalog that is to be applied: what changes, from when its rates price usage, and what forbids it.
 * Pure: versions, the proposed catalog and the clock in, decision out.
 */
import type { Micros } from '../credits/micros.ts';
import { formatInstant, type Instant, later } from '../time/instant.ts';
import type { RefreshInterval } from '../wallet/bucket.ts';
import type { Catalog, CatalogVersion } from './catalog.ts';
import { type CatalogChange, diffCatalogs } from './diff-catalogs.ts';

/** An allowance of a plan whose subscribers get another amount, or keep another part of it, from their next refresh on. */
export interface ChangedAllowance {
  readonly planKey: string;
  readonly bucketKey: string;
  readonly interval: RefreshInterval;
  readonly credits: Micros;
  readonly rolloverLimit: Micros | null;
}

export interface CatalogProposal {
  /** None where the catalog is the one in force. */
  readonly changes: readonly CatalogChange[];
  readonly effectiveAt: Instant;
  readonly changedAllowances: readonly ChangedAllowance[];
  /** True where wallets lack a bucket or have one by another name or priority. */
  readonly bucketsChanged: boolean;
}

/** Why a catalog may not be applied, and where in the document that stands. */
export interface CatalogObstacle {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

export type CatalogDecision =
  | ({ readonly kind: 'proposal' } & CatalogProposal)
  | { readonly kind: 'obstacles'; readonly obstacles: readonly CatalogObstacle[] };

/** Versions are given oldest first. */
export function decideCatalog(versions: readonly CatalogVersion[], catalog: Catalog, now: Instant): CatalogDecision {
  const newest = versions.at(-1);
  const changes = diffCatalogs(newest?.catalog ?? null, catalog);
  if (newest && changes.length === 0) {
    const { effectiveAt } = newest;
    return { kind: 'proposal', changes, effectiveAt, changedAllowances: [], bucketsChanged: false };
  }
  const effective = effectiveInstant(newest, { catalog, changes }, now);
  const obstacles = [...changedKinds(versions, catalog), ...(isObstacle(effective) ? [effective] : [])];
  if (obstacles.length > 0 || isObstacle(effective)) return { kind: 'obstacles', obstacles };
  return {
    kind: 'proposal',
    changes,
    effectiveAt: effective,
    changedAllowances: changedAllowances(versions, catalog),
    bucketsChanged: changes.some(({ path, after }) => isOfWallets(path) && after !== null),
  };
}

/** Keys, names and priorities of buckets stand in every wallet; how long their credits live does not. */
const isOfWallets = (path: string): boolean => path.startsWith('buckets.') && !path.endsWith('.expiresAfterDays');

const isObstacle = (effective: Instant | CatalogObstacle): effective is CatalogObstacle =>
  typeof effective === 'object';

/** The newest answer that the versions give; what has left the catalog is still in wallets and subscriptions. */
function lastKnown<T>(versions: readonly CatalogVersion[], find: (catalog: Catalog) => T | undefined): T | undefined {
  for (const { catalog } of versions.toReversed()) {
    const found = find(catalog);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The kind of a bucket says what its credits are; lots that were granted or bought cannot become another kind. */
function changedKinds(versions: readonly CatalogVersion[], { buckets }: Catalog): CatalogObstacle[] {
  return buckets.flatMap(({ key, kind }, index): CatalogObstacle[] => {
    const known = lastKnown(versions, (catalog) => catalog.buckets.find((bucket) => bucket.key === key));
    if (!known || known.kind === kind) return [];
    const message = `the bucket ${key} is of kind ${known.kind} since it was made, and stays so`;
    return [{ path: ['buckets', index, 'kind'], message }];
  });
}

interface Proposed {
  readonly catalog: Catalog;
  readonly changes: readonly CatalogChange[];
}

/** Versions take effect in their order, and no charge that was made is priced otherwise afterwards. */
function effectiveInstant(
  newest: CatalogVersion | undefined,
  { catalog: { ratesEffectiveAt: asked }, changes }: Proposed,
  now: Instant,
): Instant | CatalogObstacle {
  // Before the first version nothing was charged; a catalog that was scheduled elsewhere may be the first one here.
  if (!newest) return asked ?? now;
  const { version, effectiveAt } = newest;
  const isAhead = effectiveAt > now;
  const ratesChange = changes.some(({ path }) => path.startsWith('rates.'));
  if (asked === null) {
    if (isAhead && newest.catalog.ratesEffectiveAt !== null) {
      const message = `version ${version} takes effect at ${formatInstant(effectiveAt)}: a later version needs ratesEffectiveAt, at that instant or after`;
      return { path: ['rates'], message };
    }
    return later(now, effectiveAt);
  }
  const path = ['ratesEffectiveAt'];
  if (asked < now) {
    // The instant at which the rates in force began is no reason to refuse what else has changed.
    if (asked === newest.catalog.ratesEffectiveAt && !ratesChange) return later(now, effectiveAt);
    return { path, message: 'has passed: name an instant ahead, or leave it out for now' };
  }
  if (asked < effectiveAt) {
    const message = `is before version ${version} takes effect, at ${formatInstant(effectiveAt)}`;
    return { path, message };
  }
  if (isAhead && asked > effectiveAt && !ratesChange) {
    const message = `cannot postpone: version ${version} has these rates from ${formatInstant(effectiveAt)} on; first apply those before it for that instant`;
    return { path, message };
  }
  return asked;
}

/** Same plan, bucket and interval, other amount or rollover. */
function changedAllowances(versions: readonly CatalogVersion[], { plans }: Catalog): ChangedAllowance[] {
  return plans.flatMap(({ key, allowances }) => {
    const known = lastKnown(versions, (catalog) => catalog.plans.find((plan) => plan.key === key));
    return allowances.flatMap(({ bucketKey, interval, credits, rolloverLimit }): ChangedAllowance[] => {
      const before = known?.allowances.find(
        (allowance) => allowance.bucketKey === bucketKey && allowance.interval === interval,
      );
      const isChanged = before && (before.credits !== credits || before.rolloverLimit !== rolloverLimit);
      return isChanged ? [{ planKey: key, bucketKey, interval, credits, rolloverLimit }] : [];
    });
  });
}
