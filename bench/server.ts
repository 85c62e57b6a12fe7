/** The gateway under test, in a process of its own: an embedded PostgreSQL with its usual durability, and funded wallets. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startGateway } from '../src/compose.ts';
import { readConfig } from '../src/config.ts';
import { startEmbeddedPostgres, temporaryDataDirectory } from '../src/embedded-postgres/index.ts';
import { NO_OP } from './no-op.ts';
import { fundedWallets } from './wallets.ts';

const WALLETS = 1_000;

const dataDirectory = await temporaryDataDirectory('purser-bench-');
const gateway = await startGateway(readConfig({ PORT: '0', PURSER_DATA_DIR: dataDirectory, LOG_LEVEL: 'error' }));
// The same server with a poster that posts nothing, in the same process on the same database.
const floor = await startGateway(
  readConfig({
    PORT: '0',
    PURSER_DATA_DIR: dataDirectory,
    LOG_LEVEL: 'error',
    DATABASE_URL: gateway.databaseUrl,
    // What it settled would stay due.
    PURSER_JOBS: 'off',
  }),
  { poster: NO_OP },
);
const wallets = await fundedWallets(gateway.services, WALLETS);

// The server that runs already is adopted; the floor of batches has a database of its own on it.
const { adminUrl: tpcbUrl } = await startEmbeddedPostgres({
  dataDirectory: join(dataDirectory, 'postgres'),
  database: 'tpcb',
});

process.on('message', (message) => {
  if (message === 'rss') process.send?.(process.memoryUsage.rss());
  if (message !== 'stop') return;
  floor
    .stop()
    .then(() => gateway.stop())
    .then(() => rm(dataDirectory, { recursive: true, force: true }))
    .then(() => process.exit(0));
});
process.send?.({
  endpoint: gateway.endpoint,
  floorEndpoint: floor.endpoint,
  tpcbUrl,
  secrets: wallets.map((wallet) => wallet.secret),
});
