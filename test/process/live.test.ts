/**
 * Live streams of two processes on one database, while 10,000 debits are posted through both: a subscriber that is killed again
 * and again, and resumes at the other process each time, receives every version and every sequence once.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { subscribe, TRANSPORTS, type Transport } from '../e2e/streams.ts';
import {
  BalanceChangedDocument,
  LedgerDocument,
  LedgerEntryPostedDocument,
  WalletStateDocument,
} from '../generated/documents.ts';
import { createClient } from '../support/gateway.ts';
import { aKey } from '../support/given.ts';
import {
  aDataDirectory,
  type DataDirectory,
  type GatewayProcess,
  type Manifest,
  startProcess,
} from '../support/process-gateway.ts';
import { post } from '../support/process-load.ts';

const DEBITS = 10_000;
const PER_CALL = 25;
const CALLERS = 4;
/** How many events a subscriber reads before it is killed, in turn. */
const PORTIONS = [700, 1, 1_300, 250, 37, 2_100];
const RECORD_USAGE = `mutation ($input: RecordUsageInput!) {
  recordUsage(input: $input) { __typename ... on RecordUsagePayload { accepted } }
}`;

let directories: DataDirectory[];
let processes: GatewayProcess[];
let manifests: Manifest[];

beforeAll(async () => {
  directories = [await aDataDirectory(), await aDataDirectory()];
  const [own, other] = directories as [DataDirectory, DataDirectory];
  // What came due by itself would be counted among the debits.
  const first = await startProcess(own, { PURSER_JOBS: 'off' });
  processes = [first];
  const manifest = await first.manifest();
  const second = await startProcess(other, { PURSER_JOBS: 'off', DATABASE_URL: manifest.databaseUrl });
  processes.push(second);
  manifests = [manifest, await second.manifest()];
});
afterAll(async () => {
  for (const started of processes.toReversed()) await started[Symbol.asyncDispose]();
  for (const directory of directories) await directory[Symbol.asyncDispose]();
});

const at = (round: number): Manifest => manifests[round % manifests.length] as Manifest;

/** In calls of a few, each a transaction of its own: one call each would measure HTTP. */
async function debitAll(): Promise<void> {
  let sent = 0;
  const call = async () => {
    while (sent < DEBITS) {
      sent += PER_CALL;
      const { endpoint, tokens } = at(sent / PER_CALL);
      const events = Array.from({ length: PER_CALL }, () => ({ idempotencyKey: aKey(), usage: { meter: 'search' } }));
      const answer = await post(endpoint, tokens.usageKey, RECORD_USAGE, { input: { events } });
      expect(answer.data).toEqual({ recordUsage: { __typename: 'RecordUsagePayload', accepted: PER_CALL } });
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
}

interface Resumable {
  readonly number: number;
  readonly cursor: string;
}

/** Reads as many events as there are debits, killed after each portion. */
async function readAll(open: (round: number, after: string) => Portion, after: string): Promise<number[]> {
  const numbers: number[] = [];
  let cursor = after;
  for (let round = 0; numbers.length < DEBITS; round++) {
    const portion = Math.min(PORTIONS[round % PORTIONS.length] ?? 1, DEBITS - numbers.length);
    const live = open(round, cursor);
    for (let event = 0; event < portion; event++) {
      const next = await live.next();
      numbers.push(next.number);
      cursor = next.cursor;
    }
    live.kill();
  }
  return numbers;
}

interface Portion {
  next(): Promise<Resumable>;
  kill(): void;
}

function balance(transport: Transport, round: number, after: string): Portion {
  const { endpoint, wsEndpoint, tokens, organization } = at(round);
  const variables = { organizationId: organization.id, after };
  const live = subscribe(
    transport,
    { gateway: { endpoint, wsEndpoint } },
    tokens.readKey,
    BalanceChangedDocument,
    variables,
  );
  return {
    next: async () => {
      const { version, cursor } = (await live.next()).balanceChanged;
      return { number: version, cursor };
    },
    kill: () => live.kill(),
  };
}

function ledger(transport: Transport, round: number, after: string): Portion {
  const { endpoint, wsEndpoint, tokens, organization } = at(round);
  const variables = { organizationId: organization.id, after };
  const live = subscribe(
    transport,
    { gateway: { endpoint, wsEndpoint } },
    tokens.readKey,
    LedgerEntryPostedDocument,
    variables,
  );
  return {
    next: async () => {
      const { cursor, entry } = (await live.next()).ledgerEntryPosted;
      return { number: entry.sequence, cursor };
    },
    kill: () => live.kill(),
  };
}

const upTo = (after: number, count: number): number[] => Array.from({ length: count }, (_, index) => after + 1 + index);

describe('a subscriber that is killed and resumes during 10,000 debits', () => {
  it('receives every version and every sequence once, over WebSocket and SSE, at either of two processes', async () => {
    const { endpoint, tokens, organization } = at(0);
    const client = createClient(endpoint, tokens.readKey);
    const { slug } = organization;
    const wallet = (await client.run(WalletStateDocument, { slug })).organization?.wallet;
    const newest = (await client.run(LedgerDocument, { slug, first: 1 })).organization?.wallet?.ledger.edges[0]?.cursor;
    if (!wallet || newest === undefined) throw new Error('the demo has a wallet with entries');
    const read = TRANSPORTS.flatMap((transport, index) => [
      readAll((round, after) => balance(transport, round + index, after), wallet.liveCursor),
      readAll((round, after) => ledger(transport, round + index, after), newest),
    ]);
    await debitAll();
    for (const [index, numbers] of (await Promise.all(read)).entries()) {
      expect(numbers).toEqual(upTo(index % 2 === 0 ? wallet.version : wallet.sequence, DEBITS));
    }
  }, 240_000);
});
