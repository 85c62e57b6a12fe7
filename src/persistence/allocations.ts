/** Allocations as operations ask about them; the posting engine loads and writes them. */
import type { Queryable } from './connection.ts';

/** Whether something is or was earmarked for the user. */
export async function isEarmarkedFor(sql: Queryable, walletId: string, userId: string): Promise<boolean> {
  const rows = await sql`SELECT 1 FROM allocation WHERE wallet_id = ${walletId} AND user_id = ${userId}`;
  return rows.length > 0;
}
