/** Signals by PostgreSQL's NOTIFY, sent after commit: within the transaction it would serialize commits. */
import { listen, type Sql } from '../connection.ts';
import type { HearWallets, SignalChannel } from './signal-channel.ts';

const CHANNEL = 'purser_wallet';

export async function postgresSignals(sql: Sql, databaseUrl: string, hear: HearWallets): Promise<SignalChannel> {
  const listening = await listen(databaseUrl, CHANNEL, (payload) => hear(payload.split(',')));
  return {
    publish: async (walletIds) => void (await sql`SELECT pg_notify(${CHANNEL}, ${walletIds.join(',')})`),
    stop: () => listening.stop(),
  };
}
