/** Wallets on which something is due by their own clock, whatever it is: one column of the wallet says when it is. */
import type { Tenant } from '../domain/identity/caller.ts';
import { ORGANIZATION_CLOCK, WALLET_CLOCK } from './clock.ts';
import { type Fragment, fragment, type Queryable } from './connection.ts';

/** Something that comes due on a wallet, named `w` in the statement. */
export interface Due {
  /** The column that says when; null in it where it never does. An index begins with it, so that jobs find it at once. */
  readonly at: Fragment;
  /** Whether it is done on frozen wallets too. The others wait. */
  readonly onFrozen: boolean;
}

interface TenantRow {
  id: string;
  organization_id: string;
}

const tenantOf = (row: TenantRow): Tenant => ({ walletId: row.id, organizationId: row.organization_id });

const mayBeDone = ({ onFrozen }: Due): Fragment => (onFrozen ? fragment`true` : fragment`w.frozen_at IS NULL`);

/** The wallets of the organizations on which it is due. */
export async function dueTenantsOf(sql: Queryable, due: Due, organizationIds: readonly string[]): Promise<Tenant[]> {
  const rows = await sql<TenantRow[]>`
    SELECT w.id, w.organization_id
    FROM wallet w
    JOIN organization o ON o.id = w.organization_id
    WHERE w.organization_id = ANY(${organizationIds}::uuid[]) AND ${mayBeDone(due)} AND ${due.at} <= ${WALLET_CLOCK}`;
  return rows.map(tenantOf);
}

export interface DuePage {
  /** Wallets that are left for a while. */
  readonly except: readonly string[];
  readonly limit: number;
}

/**
 * Any wallets on which it is due: of those that go by the database's clock the ones due longest, found by the index, and
 * those of organizations whose test clock is ahead, each found by a probe. `besides` is FROM and WHERE of a statement that
 * finds more wallets `w`.
 */
export async function dueTenants(
  sql: Queryable,
  due: Due,
  { except, limit }: DuePage,
  besides?: Fragment,
): Promise<Tenant[]> {
  const isMeant = fragment`${mayBeDone(due)} AND w.id <> ALL(${except}::uuid[])`;
  const others = besides
    ? fragment`UNION (SELECT w.id, w.organization_id ${besides} AND ${isMeant} LIMIT ${limit})`
    : fragment``;
  const rows = await sql<TenantRow[]>`
    SELECT id, organization_id FROM (
      (SELECT w.id, w.organization_id
       FROM wallet w
       WHERE ${due.at} <= clock_timestamp() AND ${isMeant}
       ORDER BY ${due.at} LIMIT ${limit})
      UNION
      (SELECT w.id, w.organization_id
       FROM organization o
       JOIN wallet w ON w.organization_id = o.id
       WHERE o.test_clock_offset_ms > 0 AND ${due.at} <= ${ORGANIZATION_CLOCK} AND ${isMeant}
       LIMIT ${limit})
      ${others}
    ) due
    LIMIT ${limit}`;
  return rows.map(tenantOf);
}
