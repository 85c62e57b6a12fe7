/** The gateway of a benchmark as its callers see it: a process of its own that tells where it is and how large it has grown. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Manifest } from './http-debits.ts';

/** As `npm start` runs it; `BENCH_PROFILE` names a folder for a profile of the processor's time. */
export const NODE_FLAGS = [
  '--enable-source-maps',
  '--max-semi-space-size=64',
  ...(process.env.BENCH_PROFILE ? ['--cpu-prof', `--cpu-prof-dir=${process.env.BENCH_PROFILE}`] : []),
];

export class BenchServer {
  readonly manifest: Manifest;
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess, manifest: Manifest) {
    this.#process = child;
    this.manifest = manifest;
  }

  static async start(): Promise<BenchServer> {
    const child = fork(fileURLToPath(new URL('./server.js', import.meta.url)), { execArgv: NODE_FLAGS });
    const [manifest] = (await once(child, 'message')) as [Manifest];
    return new BenchServer(child, manifest);
  }

  async rssMegabytes(): Promise<number> {
    this.#process.send('rss');
    const [bytes] = (await once(this.#process, 'message')) as [number];
    return Math.round(bytes / 1024 / 1024);
  }

  async stop(): Promise<void> {
    this.#process.send('stop');
    await once(this.#process, 'exit');
  }
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
