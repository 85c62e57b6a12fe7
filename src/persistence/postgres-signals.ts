/** Signals by PostgreSQL's NOTIFY, sent after commit: within the transaction it would serialize commits. */
import { listen, type Queryable, type Sql } from './connection.ts';
import type { HearWallets, SignalChannel } from './signal-channel.ts';

const CHANNEL = 'purser_wallet';

/**
 * Wakes those who watch the organization, in every process that hears this channel, once the transaction has committed: others
 * notice by polling. For transactions that hold no wallet: a notification makes commits wait for one another.
 */
export async function wakeFollowers(sql: Queryable, organizationId: string): Promise<void> {
  // No process leads the message: the one that tells it hears it too.
  await sql`SELECT pg_notify(${CHANNEL}, ',' || id) FROM wallet WHERE organization_id = ${organizationId}`;
}

export async function postgresSignals(sql: Sql, databaseUrl: string, hear: HearWallets): Promise<SignalChannel> {
  const listening = await listen(databaseUrl, CHANNEL, (payload) => hear(payload.split(',')));
  return {
    publish: async (walletIds) => void (await sql`SELECT pg_notify(${CHANNEL}, ${walletIds.join(',')})`),
    stop: () => listening.stop(),
  };
}
