/**
 * The catalog in force and the rate cards of all versions, in memory. The database holds the truth; a process reads it
 * once, at start, and does not notice a catalog that another process applies later.
 */
import { type Catalog, type Package, type Plan, postingPolicies } from '../domain/catalog/catalog.ts';
import { formatProblem, parseCatalog } from '../domain/catalog/parse-catalog.ts';
import type { Policies } from '../domain/posting/decide-batch.ts';
import { type RateCard, rateCard } from '../domain/pricing/rate-card.ts';
import { insertCatalog, loadCatalogs, lockCatalogs } from '../persistence/catalogs.ts';
import type { Sql } from '../persistence/connection.ts';
import { upsertBuckets } from '../persistence/organizations.ts';

/** A catalog that cannot be used; the message names each problem with its line. */
export class CatalogInvalid extends Error {}

interface CatalogVersion {
  readonly version: number;
  readonly catalog: Catalog;
}

export class CatalogStore {
  readonly #versions: readonly CatalogVersion[];
  readonly rateCards: readonly RateCard[];
  readonly policies: Policies;

  private constructor(versions: readonly (CatalogVersion & { readonly rateCard: RateCard })[]) {
    this.#versions = versions;
    this.rateCards = versions.map((version) => version.rateCard);
    this.policies = postingPolicies(this.current.catalog, this.#plansEverSold(), this.rateCards);
  }

  static async load(sql: Sql): Promise<CatalogStore> {
    const stored = await loadCatalogs(sql);
    return new CatalogStore(
      stored.map(({ version, source, effectiveAt }) => {
        const catalog = validCatalog(source);
        return { version, catalog, rateCard: rateCard(version, effectiveAt, catalog.rates) };
      }),
    );
  }

  get current(): CatalogVersion {
    const newest = this.#versions.at(-1);
    if (!newest) throw new CatalogInvalid('no catalog has been applied to this database');
    return newest;
  }

  planByKey(key: string): Plan | undefined {
    return this.#newestWith((catalog) => catalog.plans.find((plan) => plan.key === key));
  }

  /** The package as it was sold in a version of the catalog. */
  packageIn(version: number, key: string): Package | undefined {
    const sold = this.#versions.find((candidate) => candidate.version === version);
    return sold?.catalog.packages.find((offer) => offer.key === key);
  }

  packageByKey(key: string): Package | undefined {
    return this.current.catalog.packages.find((offer) => offer.key === key);
  }

  /** Every plan in its newest form: subscriptions outlive the plans on sale. */
  #plansEverSold(): readonly Plan[] {
    const plans = this.#versions.flatMap(({ catalog }) => catalog.plans);
    return [...new Map(plans.map((plan) => [plan.key, plan])).values()];
  }

  /** Looks in the current catalog first and then back in time: subscriptions outlive the plans on sale. */
  #newestWith<T>(find: (catalog: Catalog) => T | undefined): T | undefined {
    for (const { catalog } of this.#versions.toReversed()) {
      const found = find(catalog);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

export function validCatalog(yaml: string): Catalog {
  const parsed = parseCatalog(yaml);
  if (!parsed.ok) throw new CatalogInvalid(parsed.problems.map(formatProblem).join('\n'));
  return parsed.catalog;
}

/** Applies a catalog unless it is the one in force. All wallets have its buckets afterwards. */
export async function applyCatalogSource(sql: Sql, yaml: string, appliedBy: string): Promise<void> {
  const catalog = validCatalog(yaml);
  await sql.begin(async (tx) => {
    await lockCatalogs(tx);
    const newest = (await loadCatalogs(tx)).at(-1);
    if (newest?.source === yaml) return;
    await insertCatalog(tx, (newest?.version ?? 0) + 1, yaml, appliedBy);
    await upsertBuckets(tx, catalog.buckets, null);
  });
}
