/**
 * Runs subscriptions. Streams share their rows; where they also share document, variables and credential, an event is executed
 * once and answered to all of them. What an event shows of the present (its wallet) is then as old as the sharing
 * lasts, at most; nothing is ever shared between credentials.
 */
import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  GraphQLError,
  getOperationAST,
} from 'graphql';
import type { GraphQLContext } from '../context.ts';
import { RequestLoaders } from '../loading/request-loaders.ts';

const SHARED_MILLISECONDS = 100;

interface Shared {
  readonly at: number;
  readonly result: Promise<ExecutionResult> | ExecutionResult;
}

/** By event, which readers of one source have as the same object, and by what else the answer depends on. */
const sharedByEvent = new WeakMap<object, Map<string, Shared>>();
const documentIds = new WeakMap<DocumentNode, number>();
let documents = 0;

export type SubscriptionResult = AsyncIterable<ExecutionResult> | ExecutionResult;

export async function subscribeShared(args: ExecutionArgs): Promise<SubscriptionResult> {
  const source = await createSourceEventStream(args);
  if (!(Symbol.asyncIterator in source)) return source;
  const context = args.contextValue as GraphQLContext;
  const key = sharingKey(args, context);
  const toResult = (event: unknown) => executeOnce(args, context, key, event);
  const tellsErrors = context.connection?.tellsErrorsAsEvents === true;
  return mapEvents(source as AsyncIterable<unknown>, toResult, tellsErrors);
}

function sharingKey(args: ExecutionArgs, { credential }: GraphQLContext): string {
  const { document, operationName } = args;
  let id = documentIds.get(document);
  if (id === undefined) {
    documents += 1;
    id = documents;
    documentIds.set(document, id);
  }
  return JSON.stringify([id, operationName ?? null, declaredVariables(args), credential]);
}

/** What a client sends besides is read by nobody, and of any size and depth. */
function declaredVariables({ document, variableValues, operationName }: ExecutionArgs): Record<string, unknown> {
  const declared = getOperationAST(document, operationName)?.variableDefinitions ?? [];
  return Object.fromEntries(
    declared.map(({ variable }) => [variable.name.value, variableValues?.[variable.name.value]]),
  );
}

function executeOnce(args: ExecutionArgs, context: GraphQLContext, key: string, event: unknown): Shared['result'] {
  const byKey = typeof event === 'object' && event !== null ? sharesOf(event) : null;
  const shared = byKey?.get(key);
  const now = performance.now();
  if (shared && now - shared.at < SHARED_MILLISECONDS) return shared.result;
  // What is nested below an event is read for that event.
  context.loaders = new RequestLoaders(context.services);
  const result = execute({ ...args, rootValue: event }) as Shared['result'];
  byKey?.set(key, { at: now, result });
  return result;
}

function sharesOf(event: object): Map<string, Shared> {
  let shares = sharedByEvent.get(event);
  if (!shares) {
    shares = new Map();
    sharedByEvent.set(event, shares);
  }
  return shares;
}

/** The events of a source as results. An error ends the stream; it is its last event where the transport has nothing else for it. */
function mapEvents(
  source: AsyncIterable<unknown>,
  toResult: (event: unknown) => Promise<ExecutionResult> | ExecutionResult,
  tellsErrors: boolean,
): AsyncIterableIterator<ExecutionResult, undefined> {
  const events = source[Symbol.asyncIterator]();
  let isOver = false;
  const end = async (): Promise<IteratorResult<ExecutionResult, undefined>> => {
    isOver = true;
    await events.return?.();
    return { done: true, value: undefined };
  };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      if (isOver) return { done: true, value: undefined };
      try {
        const { done, value } = await events.next();
        return done ? { done: true, value: undefined } : { done: false, value: await toResult(value) };
      } catch (error) {
        isOver = true;
        if (!tellsErrors) throw error;
        return { done: false, value: { errors: [toldError(error)] } };
      }
    },
    return: end,
    throw: end,
  };
}

const toldError = (error: unknown): GraphQLError =>
  error instanceof GraphQLError
    ? error
    : new GraphQLError('the stream failed', {
        originalError: error instanceof Error ? error : new Error(String(error)),
      });
