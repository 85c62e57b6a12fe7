/** Calls of the metering API as its tests make them: what the answer must be is said by the name of the function. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectPath } from '../../src/project-path.ts';
import {
  AuthorizeDocument,
  type AuthorizeMutationVariables,
  CaptureDocument,
  type CaptureMutationVariables,
  ChargeDocument,
  type ChargeMutationVariables,
  CreateApiKeyDocument,
  CreateProjectDocument,
  ExtendHoldDocument,
  MeteringNodeDocument,
  RefundDocument,
  type RefundMutationVariables,
  ReleaseDocument,
} from '../generated/documents.ts';
import type { TestClient, TestGateway } from '../support/gateway.ts';
import { aKey, type Given } from '../support/given.ts';

/** An input whose idempotency key may be left out: a fresh one then. */
type Loose<Input> = Omit<Input, 'idempotencyKey'> & { readonly idempotencyKey?: string };

export type AuthorizeInput = Loose<AuthorizeMutationVariables['input']>;
export type CaptureInput = Loose<CaptureMutationVariables['input']>;
export type RefundInput = Loose<RefundMutationVariables['input']>;
export type ChargeInput = Loose<ChargeMutationVariables['input']>;

const keyed = <Input extends object>(input: Input) => ({ idempotencyKey: aKey(), ...input });

export const authorize = async (client: TestClient, input: AuthorizeInput) =>
  (await client.run(AuthorizeDocument, { input: keyed(input) })).authorize;

export const capture = async (client: TestClient, input: CaptureInput) =>
  (await client.run(CaptureDocument, { input: keyed(input) })).capture;

export const release = async (client: TestClient, holdId: string, idempotencyKey = aKey()) =>
  (await client.run(ReleaseDocument, { input: { holdId, idempotencyKey } })).release;

export const extend = async (client: TestClient, holdId: string, expiresInSeconds: number, idempotencyKey = aKey()) =>
  (await client.run(ExtendHoldDocument, { input: { holdId, expiresInSeconds, idempotencyKey } })).extendHold;

export const refund = async (client: TestClient, input: RefundInput) =>
  (await client.run(RefundDocument, { input: keyed(input) })).refund;

export const charge = async (client: TestClient, input: ChargeInput) =>
  (await client.run(ChargeDocument, { input: keyed(input) })).debit;

function expected(answer: unknown): Error {
  return new Error(`another answer was expected than ${JSON.stringify(answer)}`);
}

/** Makes a hold. */
export async function held(client: TestClient, input: AuthorizeInput) {
  const answer = await authorize(client, input);
  if (answer.__typename !== 'HoldPayload') throw expected(answer);
  return answer;
}

/** Makes a hold of an amount and gives its id. */
export const aHold = async (client: TestClient, amount: string, input: AuthorizeInput = {}): Promise<string> =>
  (await held(client, { amount, ...input })).hold.id;

export async function captured(client: TestClient, input: CaptureInput) {
  const answer = await capture(client, input);
  if (answer.__typename !== 'CapturePayload') throw expected(answer);
  return answer;
}

export async function charged(client: TestClient, input: ChargeInput) {
  const answer = await charge(client, input);
  if (answer.__typename !== 'DebitPayload') throw expected(answer);
  return answer;
}

export async function refunded(client: TestClient, input: RefundInput) {
  const answer = await refund(client, input);
  if (answer.__typename !== 'RefundPayload') throw expected(answer);
  return answer;
}

export async function holdById(client: TestClient, id: string) {
  const { node } = await client.run(MeteringNodeDocument, { id });
  if (node?.__typename !== 'Hold') throw expected(node);
  return node;
}

/** A client with a key that acts for one project only. */
export async function aBoundKey(gateway: TestGateway, { id }: Pick<Given, 'id'>) {
  const operator = gateway.as(gateway.demo.tokens.operator);
  const { createProject } = await operator.run(CreateProjectDocument, {
    input: { organizationId: id, key: `p-${aKey()}`.slice(0, 30), name: 'a project' },
  });
  if (createProject.__typename !== 'ProjectPayload') throw expected(createProject);
  const projectId = createProject.project.id;
  const { createApiKey } = await operator.run(CreateApiKeyDocument, {
    input: { organizationId: id, name: 'bound', scopes: ['USAGE_WRITE', 'BILLING_WRITE'], projectId },
  });
  if (createApiKey.__typename !== 'CreateApiKeyPayload') throw expected(createApiKey);
  return { projectId, client: gateway.as(createApiKey.secret) };
}

export interface CatalogFile extends AsyncDisposable {
  readonly path: string;
}

/** The demo's catalog with other policies, and with plans and rates after its own. */
export async function aCatalogFile({ policies = '', plans = '', rates = '' }): Promise<CatalogFile> {
  const directory = await mkdtemp(join(tmpdir(), 'purser-metering-'));
  const path = join(directory, 'catalog.yaml');
  const demo = await readFile(projectPath('catalogs/demo.yaml'), 'utf8');
  const source = demo
    .replace('policies:\n', () => `policies:\n${policies}`)
    .replace('\npackages:', () => `${plans}\npackages:`);
  await writeFile(path, source + rates);
  return { path, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}
