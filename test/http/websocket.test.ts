/** Operations on a socket end alone: a fault of one, whatever it is, is told to its client in no words of its own. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSchema, createYoga, type Plugin } from 'graphql-yoga';
import { type Logger, pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ANONYMOUS } from '../../src/domain/identity/caller.ts';
import type { EndpointOptions, GraphQLEndpoint } from '../../src/http/graphql-endpoint.ts';
import { serveWebSocket } from '../../src/http/websocket.ts';
import { BareSocket, type Reachable } from '../e2e/streams.ts';

const SECRET = 'SELECT secret FROM somewhere';

/** What nobody expects: running any operation throws, but for one stream that goes on for ever. */
const faults: Plugin = {
  onExecute: ({ setExecuteFn }) => setExecuteFn(fail),
  onSubscribe({ args, setSubscribeFn }) {
    const text = args.document.loc?.source.body ?? '';
    if (!text.includes('lasting')) setSubscribeFn(fail);
  },
};
const faulty = createYoga({
  schema: createSchema({
    typeDefs: 'type Query { fault: Int } type Mutation { fault: Int } type Subscription { fault: Int, lasting: Int }',
    resolvers: {
      Subscription: {
        lasting: {
          subscribe: async function* () {
            for (let lasting = 1; ; lasting++) {
              yield { lasting };
              await new Promise<void>((resolve) => {
                goOn = resolve;
              });
            }
          },
        },
      },
    },
  }),
  logging: false,
  plugins: [faults],
});

let goOn: () => void = () => undefined;

function fail(): never {
  throw new Error(SECRET);
}

let server: Server;
let reachable: Reachable;
const log: { err: { message: string }; errorId: string }[] = [];
beforeAll(async () => {
  const logger: Logger = pino({ level: 'error' }, { write: (line: string) => log.push(JSON.parse(line)) });
  const options = { logger, introspection: true, services: {}, authenticator: { authenticate: async () => ANONYMOUS } };
  server = createServer();
  serveWebSocket(server, faulty as unknown as GraphQLEndpoint, options as unknown as EndpointOptions);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const endpoint = `127.0.0.1:${port}/graphql`;
  reachable = { gateway: { endpoint: `http://${endpoint}`, wsEndpoint: `ws://${endpoint}` } };
});
beforeEach(() => {
  log.length = 0;
});
afterAll(() => server.close());

describe('a fault nobody expects', () => {
  it.each(['query', 'mutation', 'subscription'])('of a %s is masked, and the socket goes on', async (operation) => {
    await using socket = await BareSocket.initialized(reachable);
    socket.subscribe('before', 'subscription { lasting }');
    await socket.messageOf('next', 'before');
    socket.subscribe('1', `${operation} { fault }`);
    const { payload } = await socket.messageOf('next', '1');
    await socket.messageOf('complete', '1');
    expect(log).toMatchObject([{ err: { message: SECRET } }]);
    const errorId = log[0]?.errorId ?? '';
    expect(payload).toEqual({
      data: null,
      errors: [{ message: `Unexpected error ${errorId}.`, extensions: { code: 'INTERNAL_SERVER_ERROR', errorId } }],
    });
    goOn();
    expect((await socket.messageOf('next', 'before')).payload).toEqual({ data: { lasting: 2 } });
  });
});
