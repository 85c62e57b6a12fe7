/**
 * Starting is the same for the first time, the next time and after a crash: find the place, make the files if there are
 * none, adopt the server if one runs on them, else launch it. Several gateways may start at once on one directory; the
 * server's own lock decides which of their servers stays, and the others adopt that one.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { findServerAccount } from './account.ts';
import { prepareBinaries } from './binaries.ts';
import { type Cluster, openCluster } from './cluster.ts';
import { ensureDatabase, urlOf } from './connection.ts';
import { EmbeddedPostgresError, errorMessage } from './error.ts';
import { placeFiles } from './placement.ts';
import { choosePort, isFree, rememberPort } from './port.ts';
import { findPostmaster, type LaunchOptions, launchPostmaster, type Postmaster, stopPostmaster } from './postmaster.ts';

/** Long enough for a recovery after a crash. */
const START_TIMEOUT_MS = 60_000;
const RETRY_MS = 50;

export interface EmbeddedPostgresOptions {
  /** Made when missing. Holds everything: the server's files, its log, its password. */
  readonly dataDirectory: string;
  /** Made when missing. */
  readonly database: string;
  /** Server settings by name. A server that is adopted keeps those it was started with. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface EmbeddedPostgres {
  /** Connection URL of the superuser to the given database. */
  readonly adminUrl: string;
  /** Lines worth telling a person, such as where the files are when they are not where they were asked for. */
  readonly notices: readonly string[];
  /** Fast shutdown; resolves when the server has exited. Does nothing to a server already gone. */
  stop(): Promise<void>;
}

/** Rejects with an EmbeddedPostgresError, whatever the failure. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  try {
    return await start(options);
  } catch (error) {
    if (error instanceof EmbeddedPostgresError) throw error;
    throw new EmbeddedPostgresError(`it could not be started: ${errorMessage(error)}`, { cause: error });
  }
}

async function start({ dataDirectory, database, settings = {} }: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const account = await findServerAccount();
  const { directory, notices } = await placeFiles(dataDirectory, account);
  const binaries = await prepareBinaries(account, directory);
  const cluster = await openCluster(directory, binaries, account);
  const server = await findOrLaunch({ directory, binaries, cluster, account, settings });
  const access = { port: server.postmaster.port, password: cluster.password };
  await ensureDatabase(access, database);
  return {
    adminUrl: urlOf(access, database),
    notices: [...notices, ...noticesOn(server)],
    stop: () => stopPostmaster(server.postmaster, cluster.files),
  };
}

interface Server {
  readonly postmaster: Postmaster;
  readonly adopted: boolean;
}

type Installation = Omit<LaunchOptions, 'port' | 'deadline'> & { readonly cluster: Cluster };

async function findOrLaunch(installation: Installation): Promise<Server> {
  const { cluster, directory } = installation;
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const running = await findPostmaster(cluster, deadline);
    if (running !== undefined) return { postmaster: running, adopted: true };
    const port = await choosePort(directory);
    const outcome = await launchPostmaster({ ...installation, port, deadline });
    if (outcome.kind === 'ready') {
      await rememberPort(directory, port);
      return { postmaster: outcome.postmaster, adopted: false };
    }
    const reason = outcome.kind === 'failed' ? outcome.reason : 'another server has its files';
    // Somebody may have taken the port between its choice and its use; another one is chosen then.
    const mayRetry = outcome.kind === 'taken' || !(await isFree(port));
    if (!mayRetry || performance.now() > deadline) throw new EmbeddedPostgresError(`no server started: ${reason}`);
    await delay(RETRY_MS);
  }
}

function noticesOn({ postmaster, adopted }: Server): string[] {
  return adopted ? [`PostgreSQL was still running from an earlier start (process ${postmaster.pid}).`] : [];
}
