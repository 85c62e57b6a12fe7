/** The gateway as a person starts it: `node dist/src/main.js` in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { temporaryDataDirectory } from '../../src/embedded-postgres/index.ts';
import { projectPath } from '../../src/project-path.ts';
import { eventually, within } from './process-posting.ts';

/** The content of demo.json, as docs and scripts rely on it. */
export interface Manifest {
  readonly pid: number;
  readonly endpoint: string;
  readonly wsEndpoint: string;
  readonly databaseUrl: string;
  readonly organization: { readonly id: string; readonly slug: string };
  readonly tokens: Readonly<
    Record<'operator' | 'owner' | 'admin' | 'editor' | 'viewer' | 'masterKey' | 'usageKey' | 'readKey', string>
  >;
  readonly lapsed: {
    readonly organization: { readonly id: string; readonly slug: string };
    readonly tokens: Readonly<Record<'usageKey', string>>;
  };
  readonly other: {
    readonly organization: { readonly id: string; readonly slug: string };
    readonly tokens: Readonly<Record<'owner' | 'usageKey', string>>;
  };
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A data directory for gateways, removed with whatever still runs in it. */
export interface DataDirectory extends AsyncDisposable {
  readonly path: string;
  /** The pid of the PostgreSQL that runs in it; undefined without one. */
  postmaster(): Promise<number | undefined>;
}

export async function aDataDirectory(): Promise<DataDirectory> {
  const path = await temporaryDataDirectory('purser-process-');
  const postmaster = async () => {
    const lock = join(path, 'postgres', 'cluster', 'data', 'postmaster.pid');
    const pid = Number.parseInt(await readFile(lock, 'utf8').catch(() => ''), 10);
    return pid > 0 && isAlive(pid) ? pid : undefined;
  };
  return {
    path,
    postmaster,
    async [Symbol.asyncDispose]() {
      const pid = await postmaster();
      if (pid !== undefined) {
        process.kill(pid, 'SIGQUIT');
        await eventually(async () => !isAlive(pid), 'PostgreSQL ends');
      }
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** One that nothing listens at. */
export async function aFreePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch {
    return false;
  }
}

/** Ended, and kept in the table of processes by nobody's asking for its exit code. */
function isZombie(pid: number): boolean {
  if (process.platform !== 'linux') return false;
  return !existsSync(`/proc/${pid}/exe`) && existsSync(`/proc/${pid}`);
}

export class GatewayProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly #dataDirectory: string;
  readonly #ended: Promise<Ended>;
  #stdout = '';
  #stderr = '';

  constructor(dataDirectory: string, env: NodeJS.ProcessEnv = {}) {
    this.#dataDirectory = dataDirectory;
    this.child = spawn(process.execPath, [projectPath('dist/src/main.js')], {
      // Nothing depends on the directory that it is started in, nor on what else the environment holds.
      cwd: tmpdir(),
      env: { PATH: process.env.PATH, PORT: '0', PURSER_DATA_DIR: dataDirectory, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.#ended = once(this.child, 'close').then(([code, signal]) => ({ code, signal }) as Ended);
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves when the gateway has said that it runs; rejects where it ends before. */
  async running(): Promise<this> {
    let ended: Ended | undefined;
    void this.#ended.then((end) => {
      ended = end;
    });
    await eventually(async () => ended !== undefined || this.#stdout.includes('Purser is running'), 'it runs', 90);
    if (ended) throw new Error(`the gateway ended with ${ended.signal ?? ended.code}: ${this.#stderr}`);
    return this;
  }

  /** What a script reads once the gateway runs. */
  async manifest(): Promise<Manifest> {
    await this.running();
    return JSON.parse(await readFile(join(this.#dataDirectory, 'demo.json'), 'utf8')) as Manifest;
  }

  /** How it ended, within a minute. */
  ended(): Promise<Ended> {
    return within(60, 'the gateway ends', this.#ended);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.signal(signal);
    return this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    await this.stop().catch(() => this.stop('SIGKILL'));
  }
}

export const startProcess = (directory: DataDirectory, env?: NodeJS.ProcessEnv): Promise<GatewayProcess> =>
  new GatewayProcess(directory.path, env).running();
