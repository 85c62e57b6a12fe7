/** GraphQL over WebSocket (the graphql-ws protocol), with the same schema, limits and masking as over HTTP. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { ExecutionArgs, ExecutionResult } from 'graphql';
import { CloseCode, type SubscribePayload } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { type WebSocket, WebSocketServer } from 'ws';
import { busy, unauthenticated } from '../graphql/errors.ts';
import { REJECTED } from './authenticate.ts';
import { contextFor, type EndpointOptions, type GraphQLEndpoint } from './graphql-endpoint.ts';
import { maskError, maskSocketError, withoutHttp } from './mask-error.ts';
import { socketConnection } from './stream-connections.ts';

const MAX_MESSAGE_BYTES = 1024 * 1024;
const MAX_OPERATIONS_PER_SOCKET = 100;
/** Between pings. A client that answers none for as long is gone; one that was told that it is too slow has that long to hear it. */
const KEEP_ALIVE_MILLISECONDS = 30_000;
/** Of RFC 6455: the server is terminating the connection because of a temporary condition. */
const TRY_AGAIN_LATER = 1013;
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
  /** Parses and validates one operation as its caller. */
  async function prepare(extra: Connected, payload: SubscribePayload) {
    // Asked again for every operation: the credential may have been revoked since the socket was opened.
    const caller = await options.authenticator.authenticate(extra.authorization);
    if (caller === REJECTED) {
      extra.socket.close(CloseCode.Forbidden, 'Forbidden');
      return [withoutHttp(unauthenticated())];
    }
    const initial = contextFor(
      options,
      { caller, authorization: extra.authorization, connection: socketConnection(extra.socket) },
      randomUUID(),
    );
    const { schema, parse, validate, contextFactory, execute, subscribe } = endpoint.getEnveloped(initial);
    const document = parse(payload.query);
    const errors = validate(schema, document);
    if (errors.length > 0) return errors;
    const args: ExecutionArgs & { rootValue: EnvelopedRoot } = {
      schema,
      document,
      operationName: payload.operationName ?? null,
      variableValues: payload.variables ?? null,
      contextValue: await contextFactory(),
      rootValue: { execute, subscribe },
    };
    return args;
  }

  /** What throws is an error of that operation alone: graphql-ws would close the socket, and end every other with it. */
  async function answered<Result>(run: () => Promise<Result>): Promise<Result | ExecutionResult> {
    try {
      return await run();
    } catch (error) {
      return { errors: [maskSocketError(error, options)] };
    }
  }

  const open = useServer<Record<string, unknown>, Connected>(
    {
      connectionInitWaitTimeout: INIT_TIMEOUT_MILLISECONDS,
      async onConnect({ connectionParams, extra }) {
        const fromParams = connectionParams?.authorization ?? connectionParams?.Authorization;
        extra.authorization = typeof fromParams === 'string' ? fromParams : extra.request.headers.authorization;
        try {
          return (await options.authenticator.authenticate(extra.authorization)) !== REJECTED;
        } catch (error) {
          maskError(error, options);
          extra.socket.close(TRY_AGAIN_LATER, 'Try again later');
          return true;
        }
      },
      async onSubscribe({ extra, subscriptions }, _id, payload) {
        if (Object.keys(subscriptions).length > MAX_OPERATIONS_PER_SOCKET) {
          return [withoutHttp(busy(`A socket carries at most ${MAX_OPERATIONS_PER_SOCKET} operations.`))];
        }
        try {
          return await prepare(extra, payload);
        } catch (error) {
          return [maskSocketError(error, options)];
        }
      },
      // graphql-ws has errors of its own, without a code, and wraps what a stream throws.
      onError: (_context, _id, _payload, errors) => errors.map((error) => maskSocketError(error, options).toJSON()),
      onNext: (_context, _id, _payload, _args, { errors, data = null }) =>
        errors ? { data, errors: errors.map((error) => withoutHttp(error).toJSON()) } : undefined,
      execute: (args) => answered(() => (args as unknown as EnvelopedArgs).rootValue.execute(args)),
      subscribe: (args) => answered(() => (args as unknown as EnvelopedArgs).rootValue.subscribe(args)),
    },
    sockets,
    KEEP_ALIVE_MILLISECONDS,
  );
  sockets.on('connection', (socket) => {
    // A client that breaks the protocol (a frame that is too large, say) is closed by `ws` with the code that says why;
    // graphql-ws would print it on the console as a fault of the server.
    socket.removeAllListeners('error');
    socket.on('error', (err) => options.logger.debug({ err }, 'A client broke the WebSocket protocol.'));
  });
  return { close: async () => open.dispose() };
}

/** Yoga's own execution, which applies its plugins; carried to graphql-ws as the root value. */
interface EnvelopedRoot {
  readonly execute: (args: ExecutionArgs) => Promise<ExecutionResult>;
  readonly subscribe: (args: ExecutionArgs) => Promise<AsyncIterable<ExecutionResult> | ExecutionResult>;
}

type EnvelopedArgs = { readonly rootValue: EnvelopedRoot };
