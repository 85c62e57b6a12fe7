/**
 * `npm run bench`: what charging costs, as ratios within one run. Everything runs on this machine: the gateway in one
 * process, PostgreSQL in its own, the callers in this one.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { debits, type Manifest } from './http-debits.ts';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 8);

async function main(): Promise<void> {
  const server = fork(fileURLToPath(new URL('./server.js', import.meta.url)), {
    execArgv: ['--enable-source-maps', '--max-semi-space-size=64'],
  });
  const [manifest] = (await once(server, 'message')) as [Manifest];
  try {
    // The first seconds compile; they are not measured.
    await debits(manifest, { name: 'warm-up', wallets: 1_000, amount: '0.000001', seconds: 3 });
    const floor = await debits(manifest, { name: 'no-op mutation', wallets: 1_000, amount: '0', seconds: SECONDS });
    const hot = await debits(manifest, {
      name: 'debit, one hot wallet',
      wallets: 1,
      amount: '0.000001',
      seconds: SECONDS,
    });
    const spread = await debits(manifest, {
      name: 'debit, 1,000 wallets',
      wallets: 1_000,
      amount: '0.000001',
      seconds: SECONDS,
    });
    const floorAgain = await debits(manifest, {
      name: 'no-op mutation',
      wallets: 1_000,
      amount: '0',
      seconds: SECONDS,
    });
    const reference = (floor.perSecond + floorAgain.perSecond) / 2;
    console.log('\nSingle mutations through HTTP, 64 callers:');
    console.table(
      [floor, hot, spread, floorAgain].map((result) => ({
        workload: result.name,
        'per second': Math.round(result.perSecond),
        'p50 ms': result.p50,
        'p99 ms': result.p99,
        'ratio to no-op': (result.perSecond / reference).toFixed(2),
      })),
    );
  } finally {
    server.send('stop');
    await once(server, 'exit');
  }
  const engine = fork(fileURLToPath(new URL('./engine.js', import.meta.url)), [String(SECONDS)], {
    execArgv: ['--enable-source-maps', '--max-semi-space-size=64'],
  });
  await once(engine, 'exit');
}

await main();
