import { describe, expect, it } from 'vitest';
import type { GraphQLContext } from '../../src/graphql/context.ts';
import { follow } from '../../src/graphql/live/follow.ts';

const caller = { kind: 'OPERATOR', userId: 'operator' } as const;
const tenant = { organizationId: 'organization', walletId: 'wallet' };

/** As much of a request as a stream touches before its first row. */
function aContext(): GraphQLContext {
  const context: Partial<GraphQLContext> = {
    caller,
    shutdown: new AbortController().signal,
    signals: { subscribe: () => () => undefined } as unknown as GraphQLContext['signals'],
    reauthenticate: async () => caller,
    services: {} as GraphQLContext['services'],
  };
  return context as GraphQLContext;
}

/** A stream whose first read is under way and fails when told to. */
function aStreamThatReads() {
  let fail: (error: Error) => void = () => undefined;
  const reading = new Promise<readonly bigint[]>((_, reject) => {
    fail = reject;
  });
  const rows = follow<bigint>(aContext(), {
    tenant,
    opening: [],
    after: 0n,
    numberOf: (row) => row,
    load: () => reading,
  });
  return { stream: rows[Symbol.asyncIterator](), fail: () => fail(new Error('the connection was lost')) };
}

describe('a stream whose read fails', () => {
  it('tells the client that waits for the next row', async () => {
    const { stream, fail } = aStreamThatReads();
    const next = stream.next();
    fail();
    await expect(next).rejects.toThrow('the connection was lost');
  });

  it('tells nobody once its client has left', async () => {
    const { stream, fail } = aStreamThatReads();
    const next = stream.next();
    const left = stream.return?.();
    fail();
    await expect(next).resolves.toMatchObject({ done: true });
    await expect(left).resolves.toMatchObject({ done: true });
  });
});
