/**
 * Random commands through the real engine on PostgreSQL, several at once, against a model that knows nothing of batches,
 * snapshots, prefixes or SQL and predicts every reply and the final books.
 *
 * A failure names the seed and path that bring it back: MODEL_SEED=… MODEL_PATH=… npx vitest run test/posting/model.test.ts.
 * MODEL_RUNS sets how many sequences there are in all.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { runSequence } from './model/run-sequence.ts';
import { type Sequence, sequences } from './model/wishes.ts';
import { createWorld, type World } from './model/world.ts';

const { MODEL_SEED, MODEL_PATH, MODEL_RUNS = '1000' } = process.env;
const SEED = MODEL_SEED === undefined ? Date.now() % 2 ** 31 : Number(MODEL_SEED);
/** Sequences that go on at the same time, so that wallets meet in batches; one where a failure is looked at. */
const STRANDS = MODEL_PATH === undefined ? [0, 1, 2, 3] : [0];
const TIMEOUT_MILLISECONDS = 600_000;

let world: World;
beforeAll(async () => {
  process.stderr.write(`model test: MODEL_SEED=${SEED}\n`);
  world = await createWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

/** The comparison that failed, with what brings it back. */
async function failureOf(details: fc.RunDetails<[Sequence]>): Promise<Error> {
  const again = `MODEL_SEED=${details.seed} MODEL_PATH=${details.counterexamplePath}`;
  const report = await fc.asyncDefaultReportMessage(details);
  const failure = details.errorInstance instanceof Error ? details.errorInstance : new Error('interrupted');
  failure.message = `${again}\n${report}\n${failure.message}`;
  return failure;
}

describe.concurrent('the engine on PostgreSQL', () => {
  it.each(STRANDS)(
    'answers every command as the model predicts and ends with the same books (strand %i)',
    async (strand) => {
      const property = fc.asyncProperty(sequences, async (sequence) => {
        await runSequence(world, sequence);
      });
      const details = await fc.check(property, {
        seed: SEED + strand,
        ...(MODEL_PATH === undefined ? {} : { path: MODEL_PATH, endOnFailure: true }),
        numRuns: MODEL_PATH === undefined ? Math.ceil(Number(MODEL_RUNS) / STRANDS.length) : 1,
        interruptAfterTimeLimit: TIMEOUT_MILLISECONDS - 20_000,
        markInterruptAsFailure: true,
      });
      if (details.failed) throw await failureOf(details);
    },
    TIMEOUT_MILLISECONDS,
  );
});
