/** Redemptions of promo codes, counted under a lock of the code that is taken after those of the wallets. */
import type { KeyedCommand } from '../domain/posting/commands.ts';
import type { BatchDecision } from '../domain/posting/decide-batch.ts';
import type { RedemptionCount } from '../domain/posting/redemption-drafts.ts';
import { instants } from './columns.ts';
import type { Queryable } from './connection.ts';

/** Makes the rows that redemptions lock; a code keeps its count when it leaves the catalog and returns. */
export async function insertPromoCodes(sql: Queryable, codes: readonly string[]): Promise<void> {
  if (codes.length === 0) return;
  await sql`INSERT INTO promo_code (code) SELECT * FROM unnest(${codes}::text[]) ON CONFLICT DO NOTHING`;
}

/** Locks the codes that the commands name, in their order, and counts. Codes that no catalog ever had are left out. */
export async function loadRedemptions(sql: Queryable, commands: readonly KeyedCommand[]): Promise<RedemptionCount[]> {
  const redeeming = commands.filter((command) => command.kind === 'redeem');
  if (redeeming.length === 0) return [];
  const codes = [...new Set(redeeming.map(({ code }) => code))];
  const organizations = [...new Set(redeeming.map(({ organizationId }) => organizationId))];
  const [totals, own] = await Promise.all([
    sql<{ code: string; redemptions: number }[]>`
      SELECT code, redemptions FROM promo_code WHERE code = ANY(${codes}::text[]) ORDER BY code FOR UPDATE`,
    sql<{ code: string; organization_id: string; redemptions: bigint }[]>`
      SELECT code, organization_id, count(*) AS redemptions FROM promo_redemption
      WHERE organization_id = ANY(${organizations}::uuid[]) AND code = ANY(${codes}::text[])
      GROUP BY code, organization_id`,
  ]);
  return totals.map(({ code, redemptions: total }) => {
    const rows = own.filter((row) => row.code === code);
    return { code, total, byOrganization: new Map(rows.map((row) => [row.organization_id, Number(row.redemptions)])) };
  });
}

export function writeRedemptions(sql: Queryable, { redemptions }: BatchDecision) {
  if (redemptions.length === 0) return [];
  return [
    sql`
      INSERT INTO promo_redemption (transaction_id, code, organization_id, redeemed_at)
      SELECT * FROM unnest(
        ${redemptions.map((made) => made.transactionId)}::uuid[],
        ${redemptions.map((made) => made.code)}::text[],
        ${redemptions.map((made) => made.organizationId)}::uuid[],
        ${instants(redemptions.map((made) => made.redeemedAt))}::timestamptz[])`,
    sql`
      UPDATE promo_code
      SET redemptions = promo_code.redemptions + made.count
      FROM (SELECT code, count(*)::int FROM unnest(${redemptions.map((made) => made.code)}::text[]) AS code
        GROUP BY code) AS made (code, count)
      WHERE promo_code.code = made.code`,
  ];
}
