/**
 * Top-level GraphQL errors, with the codes of the contract. Expected refusals of a mutation are not here: they are members
 * of its result union.
 */
import { GraphQLError, type GraphQLErrorOptions } from 'graphql';

export type TopLevelCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'BAD_USER_INPUT'
  | 'RATE_LIMITED'
  | 'CURSOR_EXPIRED'
  | 'TOO_SLOW'
  | 'INTERNAL_SERVER_ERROR';

const RETRY_AFTER_SECONDS = '1';

function codedError(
  code: TopLevelCode,
  message: string,
  http?: object,
  options: GraphQLErrorOptions = {},
): GraphQLError {
  return new GraphQLError(message, { ...options, extensions: { code, ...(http ? { http } : {}) } });
}

export const unauthenticated = (): GraphQLError =>
  codedError('UNAUTHENTICATED', 'Sign in with a valid API key or token.', { status: 401 });

export const forbidden = (): GraphQLError => codedError('FORBIDDEN', 'You may not do this.');

/** How a stream ends that its client does not read. */
export const tooSlow = (): GraphQLError =>
  codedError('TOO_SLOW', 'You read too slowly. Subscribe again after the last cursor that you have.');

/** How a stream is refused, or ends, whose next event has been forgotten. */
export const cursorExpired = (): GraphQLError =>
  codedError(
    'CURSOR_EXPIRED',
    'The events after this cursor are not kept any more. Subscribe without it: the stream opens with the state now.',
  );

/** The message names the field. `nodes` locates literals in the document. */
export const badUserInput = (message: string, options?: GraphQLErrorOptions): GraphQLError =>
  codedError('BAD_USER_INPUT', message, undefined, options);

/** The gateway or the wallet is busy; the same request may be sent again. */
export const busy = (message: string): GraphQLError =>
  codedError('RATE_LIMITED', message, { status: 503, headers: { 'retry-after': RETRY_AFTER_SECONDS } });
