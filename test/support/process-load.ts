/**
 * Callers that debit until told to stop, as an agent would: every debit has a key of its own, and a call without an answer
 * is sent again under the same key. Whatever was acknowledged must then stand in the ledger, once.
 */
import { expect } from 'vitest';
import { parseId } from '../../src/graphql/ids.ts';
import { query } from './books.ts';
import type { TestDatabase } from './database.ts';
import { aKey } from './given.ts';

const DEBIT = `mutation ($input: DebitInput!) {
  debit(input: $input) {
    __typename
    ... on DebitPayload { replayed availableCredits transaction { id amount } }
  }
}`;

export interface HttpAnswer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly data: Record<string, unknown> | null;
  readonly errors: readonly { readonly message: string; readonly extensions?: Record<string, unknown> }[];
}

/** One request as it goes over the wire; rejects where there is no answer at all. */
export async function post(
  endpoint: string,
  token: string | null,
  document: string,
  variables: object = {},
): Promise<HttpAnswer> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query: document, variables }),
  });
  const body = (await response.json()) as Partial<Pick<HttpAnswer, 'data' | 'errors'>>;
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    data: body.data ?? null,
    errors: body.errors ?? [],
  };
}

export interface Acknowledged {
  readonly transactionId: string;
  readonly availableCredits: string;
}

export interface LoadOptions {
  /** Asked before every call: a gateway that was started again listens elsewhere. */
  readonly endpoint: () => string;
  readonly token: string;
  readonly callers: number;
  readonly amount?: string;
}

const PAUSE_MILLISECONDS = 20;

export class Load {
  /** By key: what callers were told. */
  readonly acknowledged = new Map<string, Acknowledged>();
  /** Answers other than a payload, and how often: "503 RATE_LIMITED", "no answer". */
  readonly failures = new Map<string, number>();
  readonly #options: LoadOptions;
  readonly #callers: readonly Promise<void>[];
  /** Sent, and not answered yet. */
  readonly #open = new Set<string>();
  #stopping = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#callers = Array.from({ length: options.callers }, () => this.#call());
  }

  /** Ends the callers, whose last debits may stay without an answer. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#callers);
  }

  /** Sends what is without an answer once more, until it has one. */
  async settle(): Promise<void> {
    await this.stop();
    const deadline = performance.now() + 20_000;
    while (this.#open.size > 0) {
      if (performance.now() > deadline) throw new Error(`${this.#open.size} debits stay without an answer`);
      await Promise.all([...this.#open].map((key) => this.#send(key)));
    }
  }

  async #call(): Promise<void> {
    while (!this.#stopping) {
      const key = aKey();
      this.#open.add(key);
      while (!(await this.#send(key)) && !this.#stopping) {
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
      }
    }
  }

  async #send(idempotencyKey: string): Promise<boolean> {
    const { endpoint, token, amount = '1' } = this.#options;
    const answer = await post(endpoint(), token, DEBIT, { input: { idempotencyKey, amount } }).catch(() => null);
    const debit = answer?.data?.debit as
      | { __typename: string; availableCredits: string; transaction: { id: string } }
      | undefined;
    if (debit?.__typename === 'DebitPayload') {
      const transactionId = parseId(debit.transaction.id)?.key ?? '';
      this.acknowledged.set(idempotencyKey, { transactionId, availableCredits: debit.availableCredits });
      this.#open.delete(idempotencyKey);
      return true;
    }
    const code = answer?.errors[0]?.extensions?.code ?? debit?.__typename ?? '';
    const failure = answer === null ? 'no answer' : `${answer.status} ${String(code)}`;
    this.failures.set(failure, (this.failures.get(failure) ?? 0) + 1);
    return false;
  }
}

/** Every acknowledged debit is the one transaction of its key. Returns how many debits of the wallet have no acknowledgement. */
export async function expectAcknowledgedInLedger(
  database: Pick<TestDatabase, 'adminUrl'>,
  walletId: string,
  { acknowledged }: Load,
): Promise<number> {
  const rows = await query<{ key: string; id: string }>(
    { ...database, [Symbol.asyncDispose]: async () => undefined },
    `SELECT idempotency_key AS key, id FROM ledger_transaction WHERE wallet_id = $1 AND kind = 'DEBIT'`,
    [walletId],
  );
  const byKey = new Map(rows.map(({ key, id }) => [key, id]));
  expect(byKey.size, 'a key has one transaction').toBe(rows.length);
  const lost = [...acknowledged].filter(([key, { transactionId }]) => byKey.get(key) !== transactionId);
  expect(lost, 'acknowledged debits that the ledger does not hold').toEqual([]);
  return rows.filter(({ key }) => !acknowledged.has(key)).length;
}
