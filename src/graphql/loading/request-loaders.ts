/**
 * Loaders that live for one request. `byPath` gathers the objects that one field of the query needs, for all rows of its
 * parents, into one load: every row at the same place of the answer has the same selection and arguments, so the load's
 * query is the same for all. The number of SQL statements then depends on the query, never on the number of rows.
 */
import DataLoader from 'dataloader';
import type { GraphQLResolveInfo, ResponsePath } from 'graphql';
import type { Instant } from '../../domain/time/instant.ts';
import type { ApiKey, User } from '../../generated/prisma/client.ts';
import type { Services } from '../../operations/services.ts';
import { type SpendLimitUse, spendLimitUses } from '../../operations/spend-limit-uses.ts';
import { databaseNow } from '../../persistence/clock.ts';

export class RequestLoaders {
  readonly users: DataLoader<string, User | null>;
  readonly apiKeys: DataLoader<string, ApiKey | null>;
  /** Not cached: a request that sets limits shows each as it left it. */
  readonly spendLimitUses: DataLoader<string, SpendLimitUse>;
  readonly #services: Pick<Services, 'prisma' | 'sql' | 'engine'>;
  #now: Promise<Instant> | null = null;
  readonly #byPath = new Map<string, DataLoader<string, unknown>>();

  constructor(services: Pick<Services, 'prisma' | 'sql' | 'engine'>) {
    const { prisma } = services;
    this.#services = services;
    this.users = new DataLoader(async (ids) => {
      const rows = await prisma.user.findMany({ where: { id: { in: [...ids] } } });
      return inOrder(ids, rows, (row) => row.id);
    });
    this.apiKeys = new DataLoader(async (ids) => {
      const rows = await prisma.apiKey.findMany({ where: { id: { in: [...ids] } } });
      return inOrder(ids, rows, (row) => row.id);
    });
    this.spendLimitUses = new DataLoader((ids) => this.#spendLimitUses(ids), { cache: false });
  }

  async #spendLimitUses(ids: readonly string[]): Promise<SpendLimitUse[]> {
    const uses = await spendLimitUses(this.#services, [...new Set(ids)]);
    return ids.map((id) => {
      const use = uses.get(id);
      if (!use) throw new Error(`the spend limit ${id} is missing`);
      return use;
    });
  }

  /** The database's clock, read once per request. */
  databaseNow(): Promise<Instant> {
    this.#now ??= databaseNow(this.#services.sql);
    return this.#now;
  }

  /** Loads for `key` together with every other row at this place of the answer. `load` answers in the keys' order. */
  byPath<T>(
    info: GraphQLResolveInfo,
    key: string,
    load: (keys: readonly string[]) => Promise<readonly T[]>,
  ): Promise<T> {
    const path = fieldPath(info.path);
    let loader = this.#byPath.get(path) as DataLoader<string, T> | undefined;
    if (!loader) {
      loader = new DataLoader(load);
      this.#byPath.set(path, loader);
    }
    return loader.load(key);
  }
}

/** The rows in the order of the ids, null where there is none. */
export function inOrder<T>(ids: readonly string[], rows: readonly T[], idOf: (row: T) => string): (T | null)[] {
  const byId = new Map(rows.map((row) => [idOf(row), row]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** The names on the way to a field, without the list positions. */
function fieldPath(path: ResponsePath | undefined): string {
  if (!path) return '';
  return typeof path.key === 'number' ? fieldPath(path.prev) : `${fieldPath(path.prev)}/${path.key}`;
}
