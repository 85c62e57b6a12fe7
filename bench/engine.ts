/** The posting engine alone, without HTTP and GraphQL: 1,000 callers that each post a debit and wait. */
import { rm } from 'node:fs/promises';
import { startGateway } from '../src/compose.ts';
import { readConfig } from '../src/config.ts';
import { systemActor } from '../src/domain/actor.ts';
import { micros } from '../src/domain/credits/micros.ts';
import { temporaryDataDirectory } from '../src/embedded-postgres/index.ts';
import type { Services } from '../src/operations/services.ts';
import { type FundedWallet, fundedWallets } from './wallets.ts';

const CALLERS = 1_000;
const SECONDS = Number(process.argv[2] ?? 8);

async function post({ engine }: Services, { organizationId, walletId }: FundedWallet, key: string): Promise<void> {
  const outcome = await engine.execute({
    kind: 'debit',
    organizationId,
    walletId,
    actor: systemActor('bench'),
    idempotencyKey: key,
    requestHash: '00',
    charge: { kind: 'amount', amount: micros(1n) },
    overage: 'REJECT',
    reasonCode: 'USAGE',
    description: null,
    attribution: { userId: null, projectId: null, taskId: null, executionId: null },
    occurredAt: null,
    metadata: null,
  });
  if (outcome.status !== 'posted') throw new Error(`a debit was answered with ${outcome.status}`);
}

async function measure(services: Services, wallets: readonly FundedWallet[], name: string): Promise<object> {
  let posted = 0;
  const startedAt = performance.now();
  const until = startedAt + SECONDS * 1_000;
  const call = async (caller: number) => {
    for (let round = 0; performance.now() < until; round++) {
      const wallet = wallets[(caller + round * CALLERS) % wallets.length];
      if (!wallet) throw new Error('no wallets');
      await post(services, wallet, `${name}-${caller}-${round}`);
      posted += 1;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, caller) => call(caller)));
  return { workload: name, 'per second': Math.round((posted * 1_000) / (performance.now() - startedAt)) };
}

const dataDirectory = await temporaryDataDirectory('purser-bench-');
const gateway = await startGateway(readConfig({ PORT: '0', PURSER_DATA_DIR: dataDirectory, LOG_LEVEL: 'error' }));
try {
  const wallets = await fundedWallets(gateway.services, 1_000);
  await measure(gateway.services, wallets, 'warm-up');
  console.log('\nThe engine alone, 1,000 callers:');
  console.table([
    await measure(gateway.services, wallets.slice(0, 1), 'one hot wallet'),
    await measure(gateway.services, wallets, '1,000 wallets'),
  ]);
} finally {
  await gateway.stop();
  await rm(dataDirectory, { recursive: true, force: true });
}
