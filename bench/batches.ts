/** Usage in batches, against a named floor: how many events are ingested in the time of one TPC-B-like transaction. */
import { setTimeout as delay } from 'node:timers/promises';
import { type BenchServer, median } from './bench-server.ts';
import { type TpcB, tpcB } from './tpc-b.ts';
import { EVENTS_PER_CALL, usageBatches } from './usage-batches.ts';

const EVENTS = Number(process.env.BENCH_EVENTS ?? 1_000_000);
const WARM_UP_EVENTS = 20 * EVENTS_PER_CALL;
const SAMPLE_MILLISECONDS = 250;

const WORKLOADS = [
  { name: 'recordUsage, one hot wallet', wallets: 1 },
  { name: 'recordUsage, a wallet per caller', wallets: 4 },
];

export async function batches(server: BenchServer, seconds: number, rounds: number): Promise<void> {
  const floor = await tpcB(server.manifest.tpcbUrl);
  await usageBatches(server.manifest, 4, { events: WARM_UP_EVENTS });
  await eventsPerTransaction(server, floor, seconds, rounds);
  await memoryOverManyEvents(server);
}

async function eventsPerTransaction({ manifest }: BenchServer, floor: TpcB, seconds: number, rounds: number) {
  const turns = WORKLOADS.map((workload) => ({ ...workload, events: [] as number[], ratios: [] as number[] }));
  const floors: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const tps = await floor.run(seconds);
    floors.push(tps);
    for (const { wallets, events, ratios } of turns) {
      const perSecond = await usageBatches(manifest, wallets, { seconds });
      events.push(perSecond);
      ratios.push(perSecond / tps);
    }
  }
  console.log(`\nUsage in calls of 5,000 events through HTTP, 4 callers, medians of ${rounds} turns of ${seconds} s:`);
  console.table([
    { workload: floor.name, 'per second': Math.round(median(floors)), ratio: '1' },
    ...turns.map(({ name, events, ratios }) => ({
      workload: name,
      'per second': Math.round(median(events)),
      ratio: `${median(ratios).toFixed(1)} (${Math.min(...ratios).toFixed(1)}–${Math.max(...ratios).toFixed(1)})`,
    })),
  ]);
}

/** What the gateway's process holds while very many events go through it: the same at the end as at the start. */
async function memoryOverManyEvents(server: BenchServer): Promise<void> {
  const samples: number[] = [];
  const sampling = new AbortController();
  const sample = async () => {
    while (!sampling.signal.aborted) {
      samples.push(await server.rssMegabytes());
      await delay(SAMPLE_MILLISECONDS);
    }
  };
  const sampled = sample();
  const perSecond = await usageBatches(server.manifest, 4, { events: EVENTS });
  sampling.abort();
  await sampled;
  console.log(`\n${EVENTS.toLocaleString('en')} events in calls of 5,000, resident memory of the gateway's process:`);
  console.table([
    {
      'events per second': Math.round(perSecond),
      'start MB': samples.at(0),
      'max MB': Math.max(...samples),
      'end MB': samples.at(-1),
    },
  ]);
}
