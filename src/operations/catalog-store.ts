/**
 * The catalog in force and the rate cards of all versions, in memory. The database holds the truth: a process learns of a
 * new version by notification, the posting engine asks with every batch, and whoever must not be outdated asks with
 * `refresh` or `hold`. Readers take one snapshot for one use, so that what they say belongs together.
 */
import type { Catalog, CatalogVersion, Plan } from '../domain/catalog/catalog.ts';
import { formatProblem } from '../domain/catalog/locate-problems.ts';
import { parseCatalog } from '../domain/catalog/parse-catalog.ts';
import type { Policies } from '../domain/posting/policies.ts';
import { postingPolicies } from '../domain/posting/policies.ts';
import { type RateCard, rateCard } from '../domain/pricing/rate-card.ts';
import type { Package } from '../domain/purchases/package.ts';
import { holdCatalogs, loadCatalogs, type StoredCatalog } from '../persistence/catalogs.ts';
import type { Queryable } from '../persistence/connection.ts';

/** There is no catalog in force that this process could work with. */
export class CatalogInvalid extends Error {}

/** All versions up to one. Never changes. */
export class CatalogSnapshot {
  /** Oldest first. */
  readonly versions: readonly CatalogVersion[];
  readonly rateCards: readonly RateCard[];
  readonly #policies: Policies | null;

  constructor(versions: readonly CatalogVersion[], rateCards: readonly RateCard[]) {
    this.versions = versions;
    this.rateCards = rateCards;
    const newest = versions.at(-1);
    this.#policies = newest ? postingPolicies(newest, plansEverSold(versions), rateCards) : null;
  }

  /** The newest version; 0 before the first. */
  get version(): number {
    return this.versions.at(-1)?.version ?? 0;
  }

  get current(): CatalogVersion {
    return this.versions.at(-1) ?? missing();
  }

  get policies(): Policies {
    return this.#policies ?? missing();
  }

  /** Looks in the current catalog first and then back in time: subscriptions outlive the plans on sale. */
  planByKey(key: string): Plan | undefined {
    for (const { catalog } of this.versions.toReversed()) {
      const found = catalog.plans.find((plan) => plan.key === key);
      if (found) return found;
    }
    return undefined;
  }

  /** The package as it was sold in a version of the catalog. */
  packageIn(version: number, key: string): Package | undefined {
    const sold = this.versions.find((candidate) => candidate.version === version);
    return sold?.catalog.packages.find((offer) => offer.key === key);
  }

  packageByKey(key: string): Package | undefined {
    return this.current.catalog.packages.find((offer) => offer.key === key);
  }

  followedBy(stored: readonly StoredCatalog[]): CatalogSnapshot {
    const versions = stored.map(({ version, source, effectiveAt }) => ({
      version,
      catalog: storedCatalog(version, source),
      effectiveAt,
    }));
    const rateCards = versions.map(({ version, effectiveAt, catalog }) =>
      rateCard(version, effectiveAt, catalog.rates),
    );
    return new CatalogSnapshot([...this.versions, ...versions], [...this.rateCards, ...rateCards]);
  }
}

/** Every plan in its newest form: subscriptions outlive the plans on sale. */
function plansEverSold(versions: readonly CatalogVersion[]): readonly Plan[] {
  const plans = versions.flatMap(({ catalog }) => catalog.plans);
  return [...new Map(plans.map((plan) => [plan.key, plan])).values()];
}

function missing(): never {
  throw new CatalogInvalid('No catalog has been applied to this database.');
}

/** What was applied was valid; it may be written for a newer gateway than this one. */
function storedCatalog(version: number, source: string): Catalog {
  const parsed = parseCatalog(source);
  if (parsed.ok) return parsed.catalog;
  const problems = parsed.problems.map(formatProblem).join('\n');
  throw new CatalogInvalid(`Version ${version} of the catalog in the database cannot be read:\n${problems}`);
}

export class CatalogStore {
  #snapshot = new CatalogSnapshot([], []);

  static async load(sql: Queryable): Promise<CatalogStore> {
    const store = new CatalogStore();
    await store.refresh(sql);
    return store;
  }

  /** What this process knows. Take it once per use. */
  get snapshot(): CatalogSnapshot {
    return this.#snapshot;
  }

  /** Brings the store up to date and answers what is in force. */
  async refresh(sql: Queryable): Promise<CatalogSnapshot> {
    const known = this.#snapshot;
    const stored = await loadCatalogs(sql, known.version);
    if (stored.length > 0) {
      const next = known.followedBy(stored);
      // Another refresh may have been quicker and have seen more.
      if (next.version > this.#snapshot.version) this.#snapshot = next;
    }
    return this.#snapshot;
  }

  /**
   * The catalog in force, which stays so until the caller's transaction ends. For what a new catalog brings up to date in
   * all wallets and subscriptions: whoever adds one must not do so by the catalog before.
   */
  async hold(tx: Queryable): Promise<CatalogSnapshot> {
    await holdCatalogs(tx);
    return this.refresh(tx);
  }

  get rateCards(): readonly RateCard[] {
    return this.#snapshot.rateCards;
  }

  get policies(): Policies {
    return this.#snapshot.policies;
  }

  get current(): CatalogVersion {
    return this.#snapshot.current;
  }

  planByKey(key: string): Plan | undefined {
    return this.#snapshot.planByKey(key);
  }

  packageIn(version: number, key: string): Package | undefined {
    return this.#snapshot.packageIn(version, key);
  }

  packageByKey(key: string): Package | undefined {
    return this.#snapshot.packageByKey(key);
  }
}
