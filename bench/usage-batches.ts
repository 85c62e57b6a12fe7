/** Callers that each send 5,000 usage events in one call, wait for the answer and send the next. */
import type { Manifest } from './http-debits.ts';

export const EVENTS_PER_CALL = 5_000;
const CALLERS = 4;
const DOCUMENT = `mutation ($input: RecordUsageInput!) {
  recordUsage(input: $input) {
    __typename
    ... on RecordUsagePayload {
      accepted duplicates rejected availableCredits
      results { idempotencyKey status credits error { code message } }
    }
    ... on BillingError { code message }
  }
}`;

let calls = 0;

/** Written as text at once: what the callers do takes the same cores as the gateway. */
function bodyOf(call: number): string {
  const events = Array.from(
    { length: EVENTS_PER_CALL },
    (_, index) =>
      `{"idempotencyKey":"usage-${process.pid}-${call}-${index}","taskId":"task-${index % 50}","usage":{"meter":"api_call","quantity":"1","dimensions":{"region":"eu"}}}`,
  );
  return `{"query":${JSON.stringify(DOCUMENT)},"variables":{"input":{"events":[${events.join()}]}}}`;
}

async function send({ endpoint }: Manifest, secret: string): Promise<void> {
  calls += 1;
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
    body: bodyOf(calls),
  });
  const text = await answer.text();
  if (!text.includes(`"accepted":${EVENTS_PER_CALL},`)) throw new Error(`unexpected answer: ${text.slice(0, 500)}`);
}

/** Events per second over `wallets` wallets, until so many seconds or events have passed. */
export async function usageBatches(
  manifest: Manifest,
  wallets: number,
  until: { readonly seconds: number } | { readonly events: number },
): Promise<number> {
  const startedAt = performance.now();
  const elapsed = () => (performance.now() - startedAt) / 1_000;
  const secrets = manifest.secrets.slice(0, wallets);
  let [sent, accepted] = [0, 0];
  const isOver = () => ('seconds' in until ? elapsed() >= until.seconds : sent >= until.events);
  const call = async (caller: number) => {
    while (!isOver()) {
      sent += EVENTS_PER_CALL;
      await send(manifest, secrets[caller % secrets.length] ?? '');
      accepted += EVENTS_PER_CALL;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, caller) => call(caller)));
  return accepted / elapsed();
}
