/** The GraphQL endpoint over HTTP and SSE: Yoga with the guarded schema, limits, authentication and masked errors. */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { GraphQLError, NoSchemaIntrospectionCustomRule } from 'graphql';
import { createYoga, type FetchAPI, type Plugin, type YogaServerInstance } from 'graphql-yoga';
import type { Logger } from 'pino';
import { ANONYMOUS, type Caller } from '../domain/identity/caller.ts';
import type { GraphQLContext } from '../graphql/context.ts';
import type { StreamConnection } from '../graphql/live/connection.ts';
import type { LiveSources } from '../graphql/live/live-sources.ts';
import { subscribeShared } from '../graphql/live/subscribe-shared.ts';
import { RequestLoaders } from '../graphql/loading/request-loaders.ts';
import { buildGuardedSchema } from '../graphql/schema.ts';
import { UnconditionalSubscriptionsRule } from '../graphql/unconditional-subscriptions.ts';
import type { Services } from '../operations/services.ts';
import { type Authenticator, REJECTED } from './authenticate.ts';
import type { CredentialWatch } from './credential-watch.ts';
import { documentLimits } from './limits.ts';
import { maskError, withoutHttp } from './mask-error.ts';
import { responseConnection } from './stream-connections.ts';

export interface EndpointOptions {
  readonly services: Services;
  readonly live: LiveSources;
  readonly authenticator: Authenticator;
  readonly credentials: CredentialWatch;
  readonly publicUrl: string;
  readonly logger: Logger;
  readonly graphiql: boolean;
  readonly introspection: boolean;
}

export type GraphQLEndpoint = YogaServerInstance<object, GraphQLContext>;

const REJECTED_BODY = JSON.stringify({
  errors: [{ message: 'Sign in with a valid API key or token.', extensions: { code: 'UNAUTHENTICATED' } }],
});

const DEFAULT_QUERY = `# Sign in first: open Headers below, put
#   { "authorization": "Bearer …" }
# with a token of the banner.
query Balance {
  organization(slug: "demo") {
    name
    wallet {
      totalAvailable
      buckets {
        name
        available
      }
      ledger(first: 5) {
        edges {
          node {
            sequence
            direction
            amount
            reasonCode
            balanceAfter
          }
        }
      }
    }
  }
}
`;

/** A caller and what they signed in with. */
export interface Credential {
  readonly caller: Caller;
  readonly authorization: string | null | undefined;
  readonly connection: StreamConnection | null;
}

/** What every request of one caller works with, over HTTP and WebSocket alike. */
export function contextFor(
  options: EndpointOptions,
  { caller, authorization, connection }: Credential,
  requestId: string,
): GraphQLContext {
  const { services, live, publicUrl, authenticator, credentials } = options;
  const credential = authorization ?? '';
  return {
    caller,
    services: { ...services, requestId },
    live,
    credential,
    connection,
    watchCredential: (told) => credentials.watch(credential, caller, told),
    loaders: new RequestLoaders(services),
    publicUrl,
    reauthenticate: async () => {
      const now = await authenticator.authenticateAgain(authorization, caller);
      return now === REJECTED ? ANONYMOUS : now;
    },
  };
}

export function createEndpoint(options: EndpointOptions): GraphQLEndpoint {
  return createYoga<object, GraphQLContext>({
    schema: buildGuardedSchema(),
    graphqlEndpoint: '/graphql',
    landingPage: false,
    multipart: false,
    batching: false,
    cors: false,
    logging: false,
    graphiql: options.graphiql && { title: 'Purser', defaultQuery: DEFAULT_QUERY, subscriptionsProtocol: 'WS' },
    // Its page is megabytes of text, which a start that nobody asks for it need not read.
    renderGraphiQL: async (options) => (await import('@graphql-yoga/render-graphiql')).renderGraphiQL(options),
    maskedErrors: { maskError: (error) => maskError(error, options) },
    plugins: [
      authentication(options),
      refuseForms(),
      readableParameters(),
      ...documentLimits(),
      ...introspectionRule(options),
      unconditionalSubscriptions(),
      documentErrors(options),
      sharedSubscriptions(),
    ],
  });
}

const callers = new WeakMap<Request, Caller>();

/** A bad credential is 401 whatever was asked. Runs before the body is read. */
function authentication(options: EndpointOptions): Plugin {
  return {
    async onRequest({ request, endResponse, fetchAPI }) {
      let caller: Caller | typeof REJECTED;
      try {
        caller = await options.authenticator.authenticate(request.headers.get('authorization'));
      } catch (error) {
        endResponse(faultResponse(maskError(error, options), fetchAPI));
        return;
      }
      if (caller === REJECTED) {
        const headers = { 'content-type': 'application/json', 'www-authenticate': 'Bearer' };
        endResponse(new fetchAPI.Response(REJECTED_BODY, { status: 401, headers }));
        return;
      }
      callers.set(request, caller);
    },
    onContextBuilding({ context, extendContext }) {
      // Contexts of WebSocket operations are made with their caller.
      if ('caller' in context) return;
      const { request, res } = context as { request: Request; res?: ServerResponse };
      const credential = {
        caller: callers.get(request) ?? ANONYMOUS,
        authorization: request.headers.get('authorization'),
        connection: res ? responseConnection(res) : null,
      };
      extendContext(contextFor(options, credential, requestIdFrom(request.headers.get('x-request-id'))) as never);
    },
  };
}

/** A fault before GraphQL begins, in the form that its errors have. */
function faultResponse(masked: GraphQLError, { Response }: FetchAPI): Response {
  const { status = 500, headers = {} } = (masked.extensions.http ?? {}) as ResponseInit;
  const body = JSON.stringify({ errors: [withoutHttp(masked)] });
  return new Response(body, { status, headers: { ...headers, 'content-type': 'application/json' } });
}

/** The caller's own id for the request where it is a plain one, else a fresh one. */
function requestIdFrom(given: string | null): string {
  return given !== null && /^[\w.-]{1,100}$/.test(given) ? given : randomUUID();
}

/** Forms can be sent by any web page; this endpoint reads JSON and GraphQL documents. */
function refuseForms(): Plugin {
  return {
    onRequest({ request, endResponse, fetchAPI }) {
      const type = request.headers.get('content-type') ?? '';
      if (/^(application\/x-www-form-urlencoded|multipart\/form-data|text\/plain)/i.test(type)) {
        endResponse(new fetchAPI.Response('Send application/json.', { status: 415 }));
      }
    },
  };
}

/** What is no JSON in the parameters of a URL is the client's fault, as it is in a body. */
function readableParameters(): Plugin {
  return {
    onRequestParse({ request, requestParser, setRequestParser }) {
      if (request.method !== 'GET' || !requestParser) return;
      setRequestParser(async (get) => {
        try {
          return await requestParser(get);
        } catch (error) {
          if (!(error instanceof SyntaxError)) throw error;
          const extensions = { code: 'BAD_USER_INPUT', http: { spec: true, status: 400 } };
          throw new GraphQLError('Parameters "variables" and "extensions" are JSON.', { extensions });
        }
      });
    },
  };
}

/** Documents that do not validate are answered with the codes of the contract. */
function documentErrors(options: EndpointOptions): Plugin {
  return {
    onValidate:
      () =>
      ({ valid, result, setResult }) => {
        if (!valid) setResult(result.map((error) => maskError(error, options)));
      },
  };
}

/** Streams run side by side share what they have in common. */
function sharedSubscriptions(): Plugin {
  return { onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(subscribeShared) };
}

/** A rule of the specification that graphql-js does not have yet. */
function unconditionalSubscriptions(): Plugin {
  return { onValidate: ({ addValidationRule }) => addValidationRule(UnconditionalSubscriptionsRule) };
}

/** Introspection is for development. */
function introspectionRule({ introspection }: EndpointOptions): Plugin[] {
  if (introspection) return [];
  return [{ onValidate: ({ addValidationRule }) => addValidationRule(NoSchemaIntrospectionCustomRule) }];
}
