/**
 * Single connections, beside the pools: those that listen, migrate and make roles. A server that has gone silent, as behind a
 * firewall that drops packets, is given up as if it had refused: while connecting after 5 s, later by the probes of TCP.
 */
import { Client, type ClientConfig } from 'pg';

/** How every connection of the gateway is opened, those of pools too. */
export const CONNECTING = {
  connectionTimeoutMillis: 5_000,
  keepAlive: true,
  // The system's own default is two hours.
  keepAliveInitialDelayMillis: 10_000,
} as const satisfies ClientConfig;

/** Not connected yet. */
export function clientFor(databaseUrl: string, config: Pick<ClientConfig, 'application_name'> = {}): Client {
  const client = new Client({ connectionString: databaseUrl, ...CONNECTING, ...config });
  // A connection lost while nothing is asked of it would otherwise end the process; the next query reports it anyway.
  client.on('error', () => undefined);
  return client;
}
