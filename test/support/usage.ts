/** Charges of every kind, and the reports and summaries of them, as tests ask for them. */
import { expect } from 'vitest';
import { decodeId, encodeId } from '../../src/graphql/ids.ts';
import {
  CreateProjectDocument,
  DebitDocument,
  type DebitMutationVariables,
  SpendSummaryDocument,
  type SpendSummaryQueryVariables,
  UsageReportDocument,
  type UsageReportQueryVariables,
} from '../generated/documents.ts';
import { query } from './books.ts';
import type { TestClient, TestGateway } from './gateway.ts';
import { aKey, type Given } from './given.ts';

type DebitInput = Omit<DebitMutationVariables['input'], 'idempotencyKey'>;
export type ReportArguments = Omit<UsageReportQueryVariables, 'slug'>;
export type ReportFilter = NonNullable<ReportArguments['filter']>;

/** A debit that must succeed; answers its transaction's id. */
export async function charge(client: TestClient, input: DebitInput): Promise<string> {
  const { debit } = await client.run(DebitDocument, { input: { idempotencyKey: aKey(), ...input } });
  if (debit.__typename !== 'DebitPayload') throw new Error(JSON.stringify(debit));
  return debit.transaction.id;
}

/** A mutation in text whose payload's field has an id. */
async function mutate(client: TestClient, name: string, input: object, field: string): Promise<string> {
  const type = `${name.charAt(0).toUpperCase()}${name.slice(1)}Input`;
  const { data, errors } = await client.raw<Record<string, Record<string, { id: string }>>>(
    `mutation($input: ${type}!) { ${name}(input: $input) { __typename ... on BillingError { message }
      ... on ${PAYLOADS[name]} { ${field} { id } } } }`,
    { input: { idempotencyKey: aKey(), ...input } },
  );
  const id = data?.[name]?.[field]?.id;
  if (id === undefined) throw new Error(JSON.stringify({ data, errors }));
  return id;
}
const PAYLOADS: Readonly<Record<string, string>> = {
  authorize: 'HoldPayload',
  capture: 'CapturePayload',
  refund: 'RefundPayload',
};
export const authorize = (client: TestClient, input: object) => mutate(client, 'authorize', input, 'hold');
export const capture = (client: TestClient, input: object) => mutate(client, 'capture', input, 'transaction');
export const refund = (client: TestClient, input: object) => mutate(client, 'refund', input, 'transaction');

/** The global id of a new project. */
export async function aProject({ client }: Given, key: string): Promise<string> {
  const { createProject } = await client.run(CreateProjectDocument, { input: { key, name: key } });
  if (createProject.__typename !== 'ProjectPayload') throw new Error(JSON.stringify(createProject));
  return createProject.project.id;
}

/** Makes a person of the demo an owner, and answers their global id. */
export async function anOwner({ database }: TestGateway, { id }: Given, userId: string): Promise<string> {
  await query(
    database,
    "INSERT INTO membership (id, organization_id, user_id, role) VALUES (gen_random_uuid(), $1, $2, 'OWNER')",
    [decodeId('Organization', id), userId],
  );
  return encodeId('User', userId);
}

/** The global id of the key that the client signs in with. */
export async function keyIdOf(client: TestClient): Promise<string> {
  const { data } = await client.raw<{ viewer: { apiKey: { id: string } } }>('{ viewer { apiKey { id } } }');
  return data?.viewer.apiKey.id ?? '';
}

/** The organization's report; throws where there is none. */
export async function reportOf(client: TestClient, slug: string, args: ReportArguments) {
  const { organization } = await client.run(UsageReportDocument, { slug, ...args });
  const report = organization?.usage;
  if (!report) throw new Error('there is no report');
  return report;
}

/** The rows of a report as [...values, quantity, credits, events]. */
export async function rowsOf({ client, slug }: Pick<Given, 'client' | 'slug'>, args: ReportArguments) {
  const { rows } = await reportOf(client, slug, args);
  const names = [...(args.groupBy as readonly string[]), ...((args.byDimensions ?? []) as readonly string[])];
  for (const { key } of rows) expect(key.map((part) => part.dimension)).toEqual(names);
  return rows.map(({ key, quantity, credits, events }) => [
    ...key.map((part) => part.value),
    quantity ?? null,
    credits,
    events,
  ]);
}

/** The organization's summary; throws where there is none. */
export async function summaryOf(
  { client, slug }: Pick<Given, 'client' | 'slug'>,
  work: Omit<SpendSummaryQueryVariables, 'slug'>,
) {
  const { organization } = await client.run(SpendSummaryDocument, { slug, ...work });
  if (!organization?.spendSummary) throw new Error('there is no summary');
  return organization.spendSummary;
}

/** The summary of work that nobody knows. */
export const NOTHING = {
  credits: '0',
  refunded: '0',
  held: '0',
  netCredits: '0',
  byMeter: [],
  firstAt: null,
  lastAt: null,
  transactions: 0,
};
