/** The published schema keeps its promises: guarded, described, typed refusals, every node found again. */
import { readFileSync } from 'node:fs';
import {
  execute,
  GraphQLError,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
  isSpecifiedScalarType,
  isUnionType,
  parse,
} from 'graphql';
import { deny } from 'graphql-shield';
import { describe, expect, it } from 'vitest';
import { ANONYMOUS } from '../../src/domain/identity/caller.ts';
import { encodeId, parseId } from '../../src/graphql/ids.ts';
import { ruleTree } from '../../src/graphql/permissions/rules.ts';
import { buildGuardedSchema, buildSchema, printSdl } from '../../src/graphql/schema.ts';
import { projectPath } from '../../src/project-path.ts';

const schema = buildSchema();
const ROOTS = ['Query', 'Mutation', 'Subscription'] as const;
/** Root fields that need no credential. */
const PUBLIC_FIELDS = ['Query.packages', 'Query.plans', 'Query.rateCard'];
const A_UUID = '01a1fd4e-6976-725d-82de-8f83fe9467ae';

const types = Object.values(schema.getTypeMap()).filter((type) => !isIntrospectionType(type));

function objectType(name: string, of: GraphQLSchema = schema): GraphQLObjectType {
  const type = of.getType(name);
  if (!isObjectType(type)) throw new Error(`the schema has no object type ${name}`);
  return type;
}

const fieldsOf = (type: GraphQLNamedType) =>
  isObjectType(type) || isInterfaceType(type) ? Object.values(type.getFields()) : [];

const rootFields = ROOTS.flatMap((root) => fieldsOf(objectType(root)).map((field) => ({ root, field })));

describe('permissions', () => {
  it.each(ROOTS)('of %s name every root field, and no field that does not exist', (root) => {
    const named = Object.keys(ruleTree[root]).filter((name) => name !== '*');
    expect(named.sort()).toEqual(Object.keys(objectType(root).getFields()).sort());
  });

  it('cover every root type of the schema', () => {
    const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
    expect(roots.map((type) => type?.name)).toEqual([...ROOTS]);
    expect(Object.keys(ruleTree)).toEqual([...ROOTS]);
  });

  it.each(ROOTS)('of %s deny what they do not name', (root) => {
    expect(ruleTree[root]['*']).toBe(deny);
  });

  it('let nobody without a credential reach more than plans, packages and the rate card', async () => {
    const guarded = buildGuardedSchema();
    const reached: string[] = [];
    for (const root of ROOTS) {
      for (const field of fieldsOf(objectType(root, guarded))) {
        if (!isUnauthenticated(await callAsNobody(root, field))) reached.push(`${root}.${field.name}`);
      }
    }
    expect(reached.sort()).toEqual(PUBLIC_FIELDS);
  });
});

/** What the guarded field answers to an anonymous caller: a value, or the error it threw or returned. */
async function callAsNobody(root: string, field: GraphQLField<unknown, unknown>): Promise<unknown> {
  const resolve = root === 'Subscription' ? field.subscribe : field.resolve;
  const info = { parentType: { name: root }, fieldName: field.name, schema } as never;
  try {
    return await resolve?.({}, {}, { caller: ANONYMOUS }, info);
  } catch (error) {
    return error;
  }
}

const isUnauthenticated = (answer: unknown): boolean =>
  answer instanceof GraphQLError && answer.extensions.code === 'UNAUTHENTICATED';

describe('descriptions', () => {
  it('stand on every type', () => {
    const silent = types.filter((type) => !isSpecifiedScalarType(type) && !type.description?.trim());
    expect(silent.map((type) => type.name)).toEqual([]);
  });

  it('stand on every field and argument', () => {
    const silent = types.flatMap((type) =>
      fieldsOf(type).flatMap((field) => [
        ...(field.description?.trim() ? [] : [`${type.name}.${field.name}`]),
        ...field.args.filter((arg) => !arg.description?.trim()).map((arg) => `${type.name}.${field.name}(${arg.name})`),
      ]),
    );
    expect(silent).toEqual([]);
  });

  it('stand on every input field', () => {
    const silent = types.filter(isInputObjectType).flatMap((type) =>
      Object.values(type.getFields())
        .filter((field) => !field.description?.trim())
        .map((field) => `${type.name}.${field.name}`),
    );
    expect(silent).toEqual([]);
  });

  it('stand on every enum value', () => {
    const silent = types.filter(isEnumType).flatMap((type) =>
      type
        .getValues()
        .filter((value) => !value.description?.trim())
        .map((value) => `${type.name}.${value.name}`),
    );
    expect(silent).toEqual([]);
  });

  it('of refusals say when they are returned', () => {
    const refusals = schema.getPossibleTypes(billingError());
    expect(refusals.length).toBeGreaterThan(5);
    const vague = refusals.filter((type) => !type.description?.startsWith('Returned when '));
    expect(vague.map((type) => type.name)).toEqual([]);
  });
});

describe('schema.graphql', () => {
  it('is what the code publishes', () => {
    expect(readFileSync(projectPath('schema.graphql'), 'utf8')).toBe(printSdl());
  });
});

function billingError() {
  const type = schema.getType('BillingError');
  if (!isInterfaceType(type)) throw new Error('the schema has no interface BillingError');
  return type;
}

describe('mutations', () => {
  const mutations = rootFields.filter(({ root }) => root === 'Mutation').map(({ field }) => field);

  it('exist', () => expect(mutations.length).toBeGreaterThan(5));

  it.each(mutations)('$name answers one payload or a refusal that is a BillingError', ({ type }) => {
    const result = getNamedType(type);
    if (!isUnionType(result)) throw new Error(`${result.name} is no union`);
    const members = schema.getPossibleTypes(result);
    const payloads = members.filter((member) => member.name.endsWith('Payload'));
    const others = members.filter((member) => !member.name.endsWith('Payload'));
    expect(payloads).toHaveLength(1);
    expect(others.filter((member) => !schema.isSubType(billingError(), member)).map(({ name }) => name)).toEqual([]);
    expect(schema.isSubType(billingError(), payloads[0] ?? objectType('Query'))).toBe(false);
    expect(others.map(({ name }) => name)).toContain('InvalidInput');
  });

  it('use every refusal somewhere: only NotAttempted is told of events and never of a call', () => {
    const returned = new Set(
      types.filter(isUnionType).flatMap((union) => schema.getPossibleTypes(union).map((type) => type.name)),
    );
    const unused = schema.getPossibleTypes(billingError()).filter((type) => !returned.has(type.name));
    expect(unused.map((type) => type.name)).toEqual(['NotAttempted']);
  });
});

describe('nodes', () => {
  const node = schema.getType('Node');
  const implementers = isInterfaceType(node) ? schema.getPossibleTypes(node) : [];
  const KEYS: Readonly<Record<string, string>> = {
    LedgerEntry: `${A_UUID}.1`,
    Activity: `${A_UUID}.1`,
    Statement: `${A_UUID}.2026-11`,
  };
  const keyOf = (type: string): string => KEYS[type] ?? A_UUID;

  it('are all types with an id of their own', () => {
    expect(implementers.length).toBeGreaterThan(10);
    const withId = types.filter((type) => isObjectType(type) && type.getFields().id !== undefined);
    expect(withId.map((type) => type.name).sort()).toEqual(implementers.map((type) => type.name).sort());
  });

  it.each(implementers)('$name has a loader: node(id:) asks the books for it', async ({ name }) => {
    const { asked, data, errors } = await loadNode(encodeId(name, keyOf(name)));
    expect({ data, errors }).toEqual({ data: { node: null }, errors: undefined });
    expect(asked.length).toBeGreaterThan(0);
  });

  it('of a type without a loader are not looked for', async () => {
    const { asked, data, errors } = await loadNode(encodeId('BalanceChange', A_UUID));
    expect({ data, errors }).toEqual({ data: { node: null }, errors: undefined });
    expect(asked).toEqual([]);
  });

  it.each(implementers)('$name gives out an id that carries its type and can be read again', async (type) => {
    const ofOrganization = { organizationId: A_UUID, number: 7n };
    const row = { id: A_UUID, key: 'a-key', walletId: A_UUID, sequence: 7n, month: '2026-11', ...ofOrganization };
    const info = { fieldName: 'id', parentType: type, schema } as never;
    const id: unknown = await type.getFields().id?.resolve?.(row, {}, {}, info);
    expect(parseId(String(id))?.type).toBe(type.name);
  });
});

/** Runs `node(id:)` on books that are empty and note what was asked of them. */
async function loadNode(id: string) {
  const asked: string[] = [];
  const answer = async (what: string, rows: unknown) => {
    asked.push(what);
    return rows;
  };
  const table = (name: string) =>
    new Proxy({}, { get: (_target, method) => () => answer(name, method === 'findMany' ? [] : null) });
  const services = {
    prisma: new Proxy({}, { get: (_target, name) => table(String(name)) }),
    sql: () => answer('sql', []),
    catalogs: { planByKey: () => void asked.push('plans'), packageByKey: () => void asked.push('packages') },
  };
  const contextValue = { caller: { kind: 'OPERATOR', userId: 'operator' }, services };
  const document = parse('query ($id: ID!) { node(id: $id) { id } }');
  const { data, errors } = await execute({ schema, document, variableValues: { id }, contextValue });
  return { asked, data, errors };
}

describe('type guards', () => {
  /** Types that roles and scopes guard by whatever path they are reached. */
  const GUARDED = [
    'Wallet',
    'Bucket',
    'Lot',
    'LedgerEntry',
    'Transaction',
    'Purchase',
    'PlanSubscription',
    'AuditRecord',
    'SpendLimit',
    'Activity',
  ];

  const isGuarded = (type: GraphQLNamedType): boolean => {
    const options = type.extensions.pothosOptions as { readableBy?: unknown } | undefined;
    return typeof options?.readableBy === 'function';
  };

  it.each(GUARDED)('say who may read a %s', (name) => {
    expect(isGuarded(objectType(name))).toBe(true);
  });

  it('are not passed by: a guarded type is reached through an abstract type only by node and nodes', () => {
    const abstract = types.filter(isAbstractType).filter((type) => schema.getPossibleTypes(type).some(isGuarded));
    expect(abstract.map((type) => type.name)).toEqual(['Node']);
    const ways = types.flatMap((type) =>
      fieldsOf(type)
        .filter((field) => getNamedType(field.type).name === 'Node')
        .map((field) => `${type.name}.${field.name}`),
    );
    expect(ways.sort()).toEqual(['Query.node', 'Query.nodes']);
  });
});
