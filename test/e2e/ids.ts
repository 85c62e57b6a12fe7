/** Finds one id of every type that an organization has, by the nested query of somebody who may read all of it. */
import { expect } from 'vitest';
import type { TestClient } from '../support/gateway.ts';

export type IdsByType = Readonly<Record<string, string>>;

/** The organization must have credits, some of them earmarked, a hold, a subscription, a purchase, a project, a member and a key. */
export async function idsOf(reader: TestClient, slug: string): Promise<IdsByType> {
  const { data, errors } = await reader.raw(
    `query($slug: String!) {
      organization(slug: $slug) {
        __typename id
        wallet {
          __typename id
          buckets { __typename id }
          lots(first: 1) { edges { node { __typename id } } }
          holds(first: 1) { edges { node { __typename id } } }
          ledger(first: 1) { edges { node { __typename id transaction { __typename id } } } }
        }
        subscription { __typename id plan { __typename id } }
        purchases(first: 1) { edges { node { __typename id package { __typename id } } } }
        members(first: 1) { edges { node { __typename id user { __typename id } } } }
        projects(first: 1) { edges { node { __typename id } } }
        apiKeys(first: 1) { edges { node { __typename id } } }
        allocations { __typename id }
        auditTrail(first: 1) { edges { node { __typename id } } }
      }
    }`,
    { slug },
  );
  expect(errors).toEqual([]);
  const found: Record<string, string> = {};
  collect(data, found);
  return found;
}

function collect(value: unknown, found: Record<string, string>): void {
  if (typeof value !== 'object' || value === null) return;
  if ('__typename' in value && 'id' in value) found[String(value.__typename)] = String(value.id);
  for (const member of Object.values(value)) collect(member, found);
}

/** The names of the types that implement Node, as the gateway tells. */
export async function nodeTypes(client: TestClient): Promise<string[]> {
  const { data } = await client.raw<{ __type: { possibleTypes: { name: string }[] } }>(
    '{ __type(name: "Node") { possibleTypes { name } } }',
  );
  return (data?.__type.possibleTypes ?? []).map((type) => type.name).toSorted();
}

/** The root fields of the schema, as the gateway tells: "Query.node", "Mutation.debit". */
export async function rootFields(client: TestClient): Promise<string[]> {
  const fields = await Promise.all(
    ['Query', 'Mutation', 'Subscription'].map(async (type) =>
      (await fieldsOf(client, type)).map((field) => `${type}.${field}`),
    ),
  );
  return fields.flat().toSorted();
}

export async function fieldsOf(client: TestClient, type: string): Promise<string[]> {
  const { data } = await client.raw<{ __type: { fields: { name: string }[] } }>(
    `{ __type(name: "${type}") { fields { name } } }`,
  );
  return (data?.__type.fields ?? []).map((field) => field.name).toSorted();
}
