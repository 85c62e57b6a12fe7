/** A live stream over WebSocket as a client of another process sees it, from the first message to the close code. */
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { Manifest } from './process-gateway.ts';
import { eventually, within } from './process-posting.ts';

export interface Stream extends AsyncDisposable {
  /** What has arrived so far. */
  readonly events: readonly BalanceEvent[];
  /** The code with which the server closed the socket. */
  closed(): Promise<number>;
  /** Resolves when the server has ended the stream, with an error or without, or has closed the socket. */
  ended(): Promise<unknown>;
  /** Resolves when there is such an event. */
  awaitEvent(matches: (event: BalanceEvent) => boolean, what: string): Promise<void>;
}

export interface BalanceEvent {
  readonly version: number;
  readonly totalAvailable: string;
  readonly reasonCode: string;
}

const BALANCE = `subscription ($organizationId: ID!) {
  balanceChanged(organizationId: $organizationId) { version totalAvailable reasonCode }
}`;

/** Subscribes to the demo's balance; resolves when the stream has told the state that it begins with. */
export async function watchBalance({ wsEndpoint, organization, tokens }: Manifest): Promise<Stream> {
  const events: BalanceEvent[] = [];
  let hearClose: (code: number) => void = () => undefined;
  const closing = new Promise<number>((resolve) => {
    hearClose = resolve;
  });
  let hearEnd: () => void = () => undefined;
  const ending = new Promise<void>((resolve) => {
    hearEnd = resolve;
  });
  const client = createClient({
    url: wsEndpoint,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${tokens.readKey}` },
    retryAttempts: 0,
    lazy: false,
    onNonLazyError: () => undefined,
    on: { closed: (event) => hearClose((event as { code: number }).code) },
  });
  const unsubscribe = client.subscribe<{ balanceChanged: BalanceEvent }>(
    { query: BALANCE, variables: { organizationId: organization.id } },
    {
      next: ({ data }) => data && events.push(data.balanceChanged),
      error: () => hearEnd(),
      complete: () => hearEnd(),
    },
  );
  await eventually(async () => events.length > 0, 'the stream begins');
  return {
    events,
    closed: () => within(20, 'the socket closes', closing),
    ended: () => within(20, 'the stream ends', Promise.race([ending, closing])),
    awaitEvent: (matches, what) => eventually(async () => events.some(matches), what),
    async [Symbol.asyncDispose]() {
      unsubscribe();
      await client.dispose();
    },
  };
}
