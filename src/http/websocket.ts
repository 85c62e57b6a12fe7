/** GraphQL over WebSocket (the graphql-ws protocol), with the same schema, limits and masking as over HTTP. */
import type { IncomingMessage, Server } from 'node:http';
import type { ExecutionArgs, ExecutionResult } from 'graphql';
import { CloseCode } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { type WebSocket, WebSocketServer } from 'ws';
import { unauthenticated } from '../graphql/errors.ts';
import { REJECTED } from './authenticate.ts';
import { contextFor, type EndpointOptions, type GraphQLEndpoint } from './graphql-endpoint.ts';

const MAX_MESSAGE_BYTES = 1024 * 1024;
const MAX_OPERATIONS_PER_SOCKET = 100;
const INIT_TIMEOUT_MILLISECONDS = 5_000;

interface Connected extends Record<PropertyKey, unknown> {
  readonly request: IncomingMessage;
  readonly socket: WebSocket;
  authorization?: string | undefined;
}

export interface WebSocketEndpoint {
  /** Ends all streams and closes the sockets with 1001. */
  close(): Promise<void>;
}

export function serveWebSocket(server: Server, endpoint: GraphQLEndpoint, options: EndpointOptions): WebSocketEndpoint {
  const sockets = new WebSocketServer({ server, path: '/graphql', maxPayload: MAX_MESSAGE_BYTES });
  const open = useServer<Record<string, unknown>, Connected>(
    {
      connectionInitWaitTimeout: INIT_TIMEOUT_MILLISECONDS,
      async onConnect({ connectionParams, extra }) {
        const fromParams = connectionParams?.authorization ?? connectionParams?.Authorization;
        const authorization = typeof fromParams === 'string' ? fromParams : extra.request.headers.authorization;
        extra.authorization = authorization;
        return (await options.authenticator.authenticate(authorization)) !== REJECTED;
      },
      async onSubscribe({ extra, subscriptions }, id, { operationName, query, variables }) {
        if (Object.keys(subscriptions).length > MAX_OPERATIONS_PER_SOCKET) {
          throw new Error(`a socket carries at most ${MAX_OPERATIONS_PER_SOCKET} operations`);
        }
        // Asked again for every operation: the credential may have been revoked since the socket was opened.
        const caller = await options.authenticator.authenticate(extra.authorization);
        if (caller === REJECTED) {
          extra.socket.close(CloseCode.Forbidden, 'Forbidden');
          return [unauthenticated()];
        }
        const initial = contextFor(options, caller, id);
        const { schema, parse, validate, contextFactory, execute, subscribe } = endpoint.getEnveloped(initial);
        const document = parse(query);
        const errors = validate(schema, document);
        if (errors.length > 0) return errors;
        const args: ExecutionArgs & { rootValue: EnvelopedRoot } = {
          schema,
          document,
          operationName: operationName ?? null,
          variableValues: variables ?? null,
          contextValue: await contextFactory(),
          rootValue: { execute, subscribe },
        };
        return args;
      },
      execute: (args) => (args as unknown as EnvelopedArgs).rootValue.execute(args),
      subscribe: (args) => (args as unknown as EnvelopedArgs).rootValue.subscribe(args),
    },
    sockets,
  );
  return { close: async () => open.dispose() };
}

/** Yoga's own execution, which applies its plugins; carried to graphql-ws as the root value. */
interface EnvelopedRoot {
  readonly execute: (args: ExecutionArgs) => Promise<ExecutionResult>;
  readonly subscribe: (args: ExecutionArgs) => Promise<AsyncIterable<ExecutionResult> | ExecutionResult>;
}

type EnvelopedArgs = { readonly rootValue: EnvelopedRoot };
