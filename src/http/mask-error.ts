/**
 * What of an error leaves the gateway. Coded errors pass; faults of the engine become "busy"; everything unexpected is
 * logged under an id, and the client gets the id.
 */
import { randomUUID } from 'node:crypto';
import { GraphQLError, type GraphQLErrorExtensions, type GraphQLErrorOptions, type Token, TokenKind } from 'graphql';
import type { Logger } from 'pino';
import { badUserInput, busy, forbidden, unauthenticated } from '../graphql/errors.ts';
import { Forbidden, Unauthenticated } from '../operations/authorize.ts';
import { WalletBusy } from '../operations/outcome.ts';
import { PaymentProviderUnavailable } from '../payments/provider.ts';
import { isUnavailable } from '../persistence/errors.ts';
import { CatalogUnreadable, DatabaseUnavailable, EngineBusy, EngineStopped } from '../posting/errors.ts';
import { IdentityProviderUnavailable } from './verify-token.ts';

/** Codes of graphql-js and Yoga for documents that are malformed, which the contract calls BAD_USER_INPUT. */
const DOCUMENT_CODES = new Set([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'OPERATION_RESOLUTION_FAILURE',
  'BAD_REQUEST',
]);

export interface MaskOptions {
  readonly logger: Logger;
  /** False hides what GraphQL would tell about the schema by suggesting names. */
  readonly introspection: boolean;
}

/** The error as it looks where there is no HTTP response for it to shape: in messages of a WebSocket. */
export function maskSocketError(error: unknown, options: MaskOptions): GraphQLError {
  return withoutHttp(maskError(error, options));
}

/** Without the hints for an HTTP response. */
export function withoutHttp(error: GraphQLError): GraphQLError {
  const { http: _, ...extensions } = error.extensions;
  return new GraphQLError(error.message, {
    ...placeOf(error),
    extensions,
  });
}

export function maskError(error: unknown, options: MaskOptions): GraphQLError {
  const masked = mask(error, options);
  return options.introspection ? masked : withoutSuggestion(masked);
}

function mask(error: unknown, { logger }: MaskOptions): GraphQLError {
  const cause = originalOf(error);
  const known = fromKnownFault(cause);
  if (known) return located(known, error);
  if (error instanceof GraphQLError && !isForeign(cause)) return fromGraphQL(error);
  const errorId = randomUUID();
  logger.error({ err: cause, errorId }, 'unexpected error');
  const unavailable = isUnavailable(cause);
  const masked = new GraphQLError(
    unavailable ? 'The database cannot be reached. Try again.' : `Unexpected error ${errorId}.`,
    {
      extensions: {
        code: 'INTERNAL_SERVER_ERROR',
        errorId,
        ...(unavailable ? { http: { status: 503, headers: { 'retry-after': '1' } } } : {}),
      },
    },
  );
  return located(masked, error);
}

/** The error that a resolver threw, below what GraphQL wrapped around it. */
function originalOf(error: unknown): unknown {
  let current = error;
  while (current instanceof GraphQLError && current.originalError) current = current.originalError;
  return current;
}

const isForeign = (cause: unknown): boolean => !(cause instanceof GraphQLError);

function fromKnownFault(cause: unknown): GraphQLError | null {
  if (cause instanceof Forbidden) return forbidden();
  if (cause instanceof Unauthenticated) return unauthenticated();
  if (cause instanceof WalletBusy) return busy('The wallet is catching up with what was due. Try again.');
  if (cause instanceof PaymentProviderUnavailable) {
    return busy('The payment provider does not answer. Try again with the same idempotency key.');
  }
  if (cause instanceof IdentityProviderUnavailable) return busy('The identity provider does not answer. Try again.');
  if (cause instanceof EngineBusy) return busy('The gateway is busy. Try again.');
  if (cause instanceof EngineStopped) return busy('The gateway is shutting down. Try again.');
  if (cause instanceof CatalogUnreadable) return busy('This gateway cannot read the catalog in force. Try again.');
  if (cause instanceof DatabaseUnavailable) return busy('The database cannot be reached. Try again.');
  return null;
}

/** An error without a code of ours was raised by GraphQL itself: the request is at fault. */
function fromGraphQL(error: GraphQLError): GraphQLError {
  const { code, http } = error.extensions;
  if (typeof code === 'string' && !DOCUMENT_CODES.has(code)) return withField(error, error.extensions);
  return withField(error, { ...badUserInput('').extensions, ...(http ? { http } : {}) });
}

/** The error with these extensions and, for a value in the document, the name of its field in the message. */
function withField(error: GraphQLError, extensions: GraphQLErrorExtensions): GraphQLError {
  const name = fieldBefore(error.nodes?.[0]?.loc?.startToken.prev ?? null);
  const isNamed =
    name === null ||
    error.path !== undefined ||
    error.message.includes(`"${name}"`) ||
    // Masked before.
    error.message.endsWith(` (${name})`);
  return new GraphQLError(isNamed ? error.message : `${error.message} (${name})`, {
    ...placeOf(error),
    extensions,
  });
}

/** The name before the colon that a value stands behind, alone or in a list. */
function fieldBefore(token: Token | null): string | null {
  if (token?.kind === TokenKind.BRACKET_L) return fieldBefore(token.prev);
  return token?.kind === TokenKind.COLON && token.prev?.kind === TokenKind.NAME ? (token.prev.value ?? null) : null;
}

function located(masked: GraphQLError, at: unknown): GraphQLError {
  if (!(at instanceof GraphQLError)) return masked;
  return new GraphQLError(masked.message, { ...placeOf(at), extensions: masked.extensions });
}

/** graphql-js ends such messages with "Did you mean …?". */
function withoutSuggestion(error: GraphQLError): GraphQLError {
  const message = error.message.replace(/ Did you mean .*$/s, '');
  return new GraphQLError(message, { ...placeOf(error), extensions: error.extensions });
}

/** Where in document and answer an error belongs. */
function placeOf({ nodes, source, positions, path }: GraphQLError): GraphQLErrorOptions {
  return {
    ...(nodes ? { nodes } : {}),
    ...(source ? { source } : {}),
    ...(positions ? { positions } : {}),
    ...(path ? { path } : {}),
  };
}
