/** One workload: 64 callers that each send a debit and wait for its answer, for some seconds. */
import autocannon from 'autocannon';

export interface Manifest {
  readonly endpoint: string;
  /** Where posting is left out. */
  readonly floorEndpoint: string;
  /** An empty database on the same server, as its owner. */
  readonly tpcbUrl: string;
  readonly secrets: readonly string[];
}

export interface Workload {
  readonly name: string;
  /** How many wallets the callers spread over. */
  readonly wallets: number;
  /** True for the floor: the same debit, with everything but its posting. */
  readonly isFloor?: boolean;
  readonly seconds: number;
}

export interface Result {
  readonly name: string;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

const CALLERS = 64;
const AMOUNT = '0.000001';
const DOCUMENT = `mutation ($input: DebitInput!) {
  debit(input: $input) {
    __typename
    ... on DebitPayload { transaction { id amount } usage { credits } availableCredits replayed }
    ... on BillingError { code message httpStatus }
  }
}`;

let keys = 0;

export async function debits(
  manifest: Manifest,
  { name, wallets, seconds, isFloor = false }: Workload,
): Promise<Result> {
  const secrets = manifest.secrets.slice(0, wallets);
  let refused = 0;
  const run = await autocannon({
    url: isFloor ? manifest.floorEndpoint : manifest.endpoint,
    connections: CALLERS,
    duration: seconds,
    requests: [
      {
        method: 'POST',
        setupRequest(request) {
          keys += 1;
          const input = { idempotencyKey: `bench-${process.pid}-${keys}`, amount: AMOUNT };
          const secret = secrets[keys % secrets.length];
          return {
            ...request,
            headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
            body: JSON.stringify({ query: DOCUMENT, variables: { input } }),
          };
        },
        onResponse(_status, body) {
          if (!body.includes('DebitPayload')) refused += 1;
        },
      },
    ],
  });
  if (refused > 0 || run.non2xx > 0)
    throw new Error(`${name}: ${refused} unexpected answers, ${run.non2xx} HTTP errors`);
  return { name, perSecond: run.requests.average, p50: run.latency.p50, p99: run.latency.p99 };
}
