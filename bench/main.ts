/**
 * `npm run bench`: what charging costs, as ratios within one run. Everything runs on this machine: the gateway in one
 * process, PostgreSQL in its own, the callers in this one. Workloads take turns, and medians are compared, so that what else
 * the machine does falls on all of them alike. BENCH_ONLY names one part: debits, engine, batches or live.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { batches } from './batches.ts';
import { BenchServer, median, NODE_FLAGS } from './bench-server.ts';
import { debits, type Result, type Workload } from './http-debits.ts';
import { live } from './live.ts';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 4);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const ONLY = process.env.BENCH_ONLY;

const FLOOR: Workload = {
  name: 'no-op: the same debit, nothing posted',
  wallets: 1_000,
  isFloor: true,
  seconds: SECONDS,
};
const WORKLOADS: readonly Workload[] = [
  FLOOR,
  { name: 'debit, one hot wallet', wallets: 1, seconds: SECONDS },
  { name: 'debit, 1,000 wallets', wallets: 1_000, seconds: SECONDS },
];

function summary(results: readonly Result[], floor: readonly Result[]): object {
  const ratios = results.map((result, round) => result.perSecond / (floor[round]?.perSecond ?? Number.NaN));
  return {
    workload: results[0]?.name,
    'per second': Math.round(median(results.map((result) => result.perSecond))),
    'p50 ms': median(results.map((result) => result.p50)),
    'p99 ms': median(results.map((result) => result.p99)),
    'ratio to no-op': median(ratios).toFixed(2),
  };
}

async function singleDebits({ manifest }: BenchServer): Promise<void> {
  const results = new Map<Workload, Result[]>(WORKLOADS.map((workload) => [workload, []]));
  // The first turns compile; they are not counted.
  for (const workload of WORKLOADS) await debits(manifest, workload);
  for (let round = 0; round < ROUNDS; round++) {
    for (const workload of WORKLOADS) results.get(workload)?.push(await debits(manifest, workload));
  }
  const floor = results.get(FLOOR) ?? [];
  console.log(`\nSingle mutations through HTTP, 64 callers, medians of ${ROUNDS} turns of ${SECONDS} s:`);
  console.table([...results.values()].map((turns) => summary(turns, floor)));
}

async function withServer(work: (server: BenchServer) => Promise<void>): Promise<void> {
  const server = await BenchServer.start();
  try {
    await work(server);
  } finally {
    await server.stop();
  }
}

async function engineAlone(): Promise<void> {
  const engine = fork(fileURLToPath(new URL('./engine.js', import.meta.url)), [String(SECONDS)], {
    execArgv: NODE_FLAGS,
  });
  await once(engine, 'exit');
}

const PARTS: Readonly<Record<string, () => Promise<void>>> = {
  debits: () => withServer(singleDebits),
  engine: engineAlone,
  batches: () => withServer((server) => batches(server, SECONDS, ROUNDS)),
  live: () => withServer((server) => live(server, ROUNDS)),
};

for (const [part, run] of Object.entries(PARTS)) if (ONLY === undefined || ONLY === part) await run();
