import { GraphQLObjectType, GraphQLSchema, GraphQLString, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import type { GraphQLContext } from '../../src/graphql/context.ts';
import { subscribeShared } from '../../src/graphql/live/subscribe-shared.ts';

const DOCUMENT = parse('subscription ($mark: String) { told(mark: $mark) }');
const EVENT = { text: 'an event' };

interface Asked {
  readonly credential: string;
  readonly mark?: string;
  /** A variable that the document does not declare. */
  readonly beside?: unknown;
  readonly document?: typeof DOCUMENT;
}

/** Subscribes alike or not to the same event; answers with what each is told. */
async function told(asked: readonly Asked[], event: object = { ...EVENT }): Promise<unknown[]> {
  let executions = 0;
  const subscriptionType = new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      told: {
        type: GraphQLString,
        args: { mark: { type: GraphQLString } },
        async *subscribe() {
          yield event;
        },
        resolve: (_event, { mark }, { credential }) => {
          executions += 1;
          return `${credential} ${mark ?? ''} ${executions}`;
        },
      },
    },
  });
  const query = new GraphQLObjectType({ name: 'Query', fields: { text: { type: GraphQLString } } });
  const schema = new GraphQLSchema({ query, subscription: subscriptionType });
  const results: unknown[] = [];
  for (const { credential, mark, beside, document = DOCUMENT } of asked) {
    const context = { credential, services: {}, connection: null } as unknown as GraphQLContext;
    const variableValues = { mark, ...(beside === undefined ? {} : { beside }) };
    const stream = await subscribeShared({ schema, document, variableValues, contextValue: context });
    if (!(Symbol.asyncIterator in stream)) throw new Error(JSON.stringify(stream));
    for await (const { data } of stream) results.push(data?.told);
  }
  return results;
}

describe('an event of several subscriptions', () => {
  it('is executed once where document, variables and credential are the same', async () => {
    const alike = { credential: 'key', mark: 'm' };
    expect(await told([alike, alike, alike])).toEqual(['key m 1', 'key m 1', 'key m 1']);
  });

  it('is executed for each credential, each set of variables and each document', async () => {
    const another = parse('subscription ($mark: String) { told(mark: $mark) }');
    const asked = [
      { credential: 'key', mark: 'm' },
      { credential: 'other', mark: 'm' },
      { credential: 'key', mark: 'n' },
      { credential: 'key', mark: 'm', document: another },
    ];
    expect(await told(asked)).toEqual(['key m 1', 'other m 2', 'key n 3', 'key m 4']);
  });

  it('is executed once whatever variables are sent that the document does not declare, however deep', async () => {
    const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000));
    const asked = [deep, 5, undefined].map((beside) => ({ credential: 'key', mark: 'm', beside }));
    expect(await told(asked)).toEqual(['key m 1', 'key m 1', 'key m 1']);
  });

  it('is no other event that looks the same', async () => {
    const alike = [{ credential: 'key' }];
    expect([await told(alike), await told(alike)]).toEqual([['key  1'], ['key  1']]);
  });
});
