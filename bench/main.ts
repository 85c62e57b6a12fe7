/**
 * `npm run bench`: what charging costs, as ratios within one run. Everything runs on this machine: the gateway in one
 * process, PostgreSQL in its own, the callers in this one. Workloads take turns, and medians are compared, so that what else
 * the machine does falls on all of them alike.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { debits, type Manifest, type Result, type Workload } from './http-debits.ts';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 4);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const NODE_FLAGS = ['--enable-source-maps', '--max-semi-space-size=64'];

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

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

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

async function throughHttp(): Promise<void> {
  const server = fork(fileURLToPath(new URL('./server.js', import.meta.url)), { execArgv: NODE_FLAGS });
  const [manifest] = (await once(server, 'message')) as [Manifest];
  const results = new Map<Workload, Result[]>(WORKLOADS.map((workload) => [workload, []]));
  try {
    // The first turns compile; they are not counted.
    for (const workload of WORKLOADS) await debits(manifest, workload);
    for (let round = 0; round < ROUNDS; round++) {
      for (const workload of WORKLOADS) results.get(workload)?.push(await debits(manifest, workload));
    }
  } finally {
    server.send('stop');
    await once(server, 'exit');
  }
  const floor = results.get(FLOOR) ?? [];
  console.log(`\nSingle mutations through HTTP, 64 callers, medians of ${ROUNDS} turns of ${SECONDS} s:`);
  console.table([...results.values()].map((turns) => summary(turns, floor)));
}

async function engineAlone(): Promise<void> {
  const engine = fork(fileURLToPath(new URL('./engine.js', import.meta.url)), [String(SECONDS)], {
    execArgv: NODE_FLAGS,
  });
  await once(engine, 'exit');
}

await throughHttp();
await engineAlone();
