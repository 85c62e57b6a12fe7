/** Asks an invariant of a few wallets or of all, and tells which rows break it. */
import { type Fragment, fragment, type Queryable } from '../connection.ts';
import type { Invariant } from './invariant.ts';

/** A row that breaks an invariant. */
export interface Offence {
  /** The wallet whose books it is in. */
  readonly walletId: string;
  /** The row: "lot 01930000-…", "entry 17". */
  readonly subject: string;
  readonly expected: string | null;
  readonly found: string | null;
}

export interface Findings {
  /** How many rows offend. */
  readonly count: number;
  /** The first of them. */
  readonly offences: readonly Offence[];
}

interface OffenceRow {
  readonly wallet_id: string;
  readonly subject: string;
  readonly expected: string | null;
  readonly found: string | null;
  readonly total: bigint;
}

/**
 * Which rows of these wallets' books, of everybody's with null, break the invariant; the first `limit` of them in full. Runs
 * in a transaction, which goes on to join by hashes and to plan anew: statistics that are behind, and plans that were made
 * when there was little, take a busy wallet's rows for a few, and nested loops over them for cheap.
 */
export async function findOffences(
  tx: Queryable,
  { offences }: Invariant,
  walletIds: readonly string[] | null,
  limit: number,
): Promise<Findings> {
  await tx`SELECT set_config('enable_nestloop', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true)`;
  const rows = await tx<OffenceRow[]>`
    ${walletIds === null ? fragment`` : tablesOf(walletIds)}
    SELECT *, count(*) OVER () AS total FROM (${offences}) AS offence LIMIT ${limit}`;
  return {
    count: Number(rows[0]?.total ?? 0n),
    offences: rows.map(({ wallet_id: walletId, subject, expected, found }) => ({ walletId, subject, expected, found })),
  };
}

/**
 * The tables as if there were no other wallets, each found by its index. Transactions have an index by wallet where they
 * charge usage, and each of the others is named by entries that are no usage.
 */
function tablesOf(walletIds: readonly string[]): Fragment {
  const organizationIds = fragment`ARRAY(SELECT organization_id FROM public.wallet WHERE id = ANY(${walletIds}::uuid[]))`;
  return fragment`WITH
    wallet AS NOT MATERIALIZED (SELECT * FROM public.wallet WHERE id = ANY(${walletIds}::uuid[])),
    bucket AS NOT MATERIALIZED (SELECT * FROM public.bucket WHERE wallet_id = ANY(${walletIds}::uuid[])),
    allocation AS NOT MATERIALIZED (SELECT * FROM public.allocation WHERE wallet_id = ANY(${walletIds}::uuid[])),
    allowance AS NOT MATERIALIZED (SELECT * FROM public.allowance WHERE wallet_id = ANY(${walletIds}::uuid[])),
    lot AS NOT MATERIALIZED (SELECT * FROM public.lot WHERE wallet_id = ANY(${walletIds}::uuid[])),
    ledger_transaction AS NOT MATERIALIZED (
      SELECT * FROM public.ledger_transaction WHERE wallet_id = ANY(${walletIds}::uuid[]) AND used_at IS NOT NULL
      UNION ALL
      SELECT * FROM public.ledger_transaction
      WHERE wallet_id = ANY(${walletIds}::uuid[]) AND used_at IS NULL AND id = ANY(ARRAY(
        SELECT transaction_id FROM public.ledger_entry
        WHERE wallet_id = ANY(${walletIds}::uuid[]) AND reason_code <> 'USAGE'))),
    ledger_entry AS NOT MATERIALIZED (SELECT * FROM public.ledger_entry WHERE wallet_id = ANY(${walletIds}::uuid[])),
    statement AS NOT MATERIALIZED (SELECT * FROM public.statement WHERE wallet_id = ANY(${walletIds}::uuid[])),
    balance_change AS NOT MATERIALIZED (SELECT * FROM public.balance_change WHERE wallet_id = ANY(${walletIds}::uuid[])),
    hold AS NOT MATERIALIZED (SELECT * FROM public.hold WHERE wallet_id = ANY(${walletIds}::uuid[])),
    usage_rollup AS NOT MATERIALIZED (SELECT * FROM public.usage_rollup WHERE wallet_id = ANY(${walletIds}::uuid[])),
    auto_top_up AS NOT MATERIALIZED (SELECT * FROM public.auto_top_up WHERE wallet_id = ANY(${walletIds}::uuid[])),
    purchase AS NOT MATERIALIZED (SELECT * FROM public.purchase WHERE organization_id = ANY(${organizationIds})),
    project AS NOT MATERIALIZED (SELECT * FROM public.project WHERE organization_id = ANY(${organizationIds})),
    api_key AS NOT MATERIALIZED (SELECT * FROM public.api_key WHERE organization_id = ANY(${organizationIds})),
    plan_subscription AS NOT MATERIALIZED (
      SELECT * FROM public.plan_subscription WHERE organization_id = ANY(${organizationIds})),
    idempotency_record AS NOT MATERIALIZED (
      SELECT * FROM public.idempotency_record WHERE organization_id = ANY(${organizationIds}))`;
}
