/** A gateway as clients meet it: over HTTP and WebSocket, on a database of its own, with the demo's organizations. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import { type Gateway, type GatewayHooks, startGateway } from '../../src/compose.ts';
import { type Config, readConfig } from '../../src/config.ts';
import type { Demo } from '../../src/demo/seed.ts';
import { encodeId } from '../../src/graphql/ids.ts';
import { createDatabase, type TestDatabase } from './database.ts';

export interface TestGateway extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly database: TestDatabase;
  readonly demo: Demo;
  /** The demo organization's global id. */
  readonly organizationId: string;
  /** Every SQL statement sent since the last `statements.length = 0`. */
  readonly statements: string[];
  /** A client that signs in with the token; anonymous without one. */
  as(token?: string): TestClient;
}

export interface GraphQLAnswer<Data> {
  readonly status: number;
  readonly data: Data | null;
  readonly errors: readonly {
    readonly message: string;
    readonly path?: unknown[];
    readonly extensions: Record<string, unknown>;
  }[];
}

export interface TestClient {
  /** The data; throws where there are errors. */
  run<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data>;
  /** The whole answer of a document in text. */
  raw<Data = Record<string, unknown>>(query: string, variables?: object): Promise<GraphQLAnswer<Data>>;
}

export interface GatewayOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** A database that other gateways use too; one of its own without it. */
  readonly database?: TestDatabase;
}

export async function startTestGateway({ env = {}, database: shared }: GatewayOptions = {}): Promise<TestGateway> {
  const database = shared ?? (await createDatabase());
  const statements: string[] = [];
  const hooks: GatewayHooks = { onStatement: (sql) => statements.push(sql) };
  const gateway = await startGateway(testConfig(database, env), hooks);
  const { demo } = gateway;
  if (!demo) throw new Error('a test gateway has the demo');
  return {
    gateway,
    database,
    demo,
    organizationId: encodeId('Organization', demo.organization.organizationId),
    statements,
    as: (token) => createClient(gateway.endpoint, token),
    async [Symbol.asyncDispose]() {
      await gateway.stop();
      if (!shared) await database[Symbol.asyncDispose]();
    },
  };
}

export function testConfig(database: TestDatabase, env: NodeJS.ProcessEnv = {}): Config {
  const dataDirectory = join(tmpdir(), 'purser-test-unused');
  return readConfig({
    PORT: '0',
    DATABASE_URL: database.adminUrl,
    PURSER_DATA_DIR: dataDirectory,
    LOG_LEVEL: 'silent',
    // What comes due by itself would come between the steps of a test.
    PURSER_JOBS: 'off',
    ...env,
  });
}

export function createClient(endpoint: string, token?: string): TestClient {
  const raw = async <Data>(query: string, variables: object = {}): Promise<GraphQLAnswer<Data>> => {
    const headers = {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const response = await fetch(endpoint, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
    const body = (await response.json()) as { data?: Data; errors?: GraphQLAnswer<Data>['errors'] };
    return { status: response.status, data: body.data ?? null, errors: body.errors ?? [] };
  };
  return {
    raw,
    async run<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data> {
      const { data, errors } = await raw<Data>(print(document), variables as object);
      if (data === null || errors.length > 0) throw new Error(`the query failed: ${JSON.stringify(errors)}`);
      return data;
    },
  };
}
