/**
 * `node` and `nodes`: anything by its id. Every type has one loader here, which reads all rows of that type at once, and
 * says who may read them. A row that is not the caller's is answered like one that does not exist.
 */
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import { groupBy } from '../../domain/group-by.ts';
import { type Caller, may } from '../../domain/identity/caller.ts';
import { parseYearMonth } from '../../domain/statements/year-month.ts';
import type {
  Activity,
  Alert,
  Allocation,
  ApiKey,
  AuditRecord,
  Bucket,
  Hold,
  LedgerEntry,
  Lot,
  Membership,
  Organization,
  PlanSubscription,
  Project,
  Purchase,
  SpendLimit,
  Transaction,
  User,
  Wallet,
  WebhookDelivery,
  WebhookEndpoint,
} from '../../generated/prisma/client.ts';
import type { CatalogStore } from '../../operations/catalog-store.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import type { Prisma } from '../../persistence/prisma.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { badUserInput } from '../errors.ts';
import { isUuid, parseId } from '../ids.ts';
import type { NodeQuery } from '../loading/connections.ts';
import { loadStatementNodes, type StatementKey } from '../loading/statements.ts';
import {
  mayReadAllocation,
  mayReadAudit,
  mayReadBilling,
  mayReadCall,
  mayReadWallet,
} from '../permissions/readable.ts';
import { NodeRef } from '../types/node.ts';
import { statementKey } from '../types/statement.ts';
import { ownOrganizations } from './organizations.ts';

const MAX_IDS = 100;

/** The rows with these keys that the caller may read, by key. */
type NodeLoader = (
  keys: string[],
  context: GraphQLContext,
  info: GraphQLResolveInfo,
) => Promise<ReadonlyMap<string, object>>;

type Find<Row> = (prisma: Prisma, keys: string[], query: NodeQuery, context: GraphQLContext) => Promise<Row[]>;
type Readable<Row> = (row: Row, caller: Caller) => boolean;

/** How a type is loaded, by its name. */
type LoaderOf = (typeName: string) => NodeLoader;

/** A type whose rows are read through Prisma. */
const rows =
  <Row extends object>(find: Find<Row>, readable: Readable<Row>, keyOf: (row: Row) => string): LoaderOf =>
  (typeName) =>
  async (keys, context, info) => {
    const query = queryFromInfo({ context, info, typeName }) as NodeQuery;
    const found = await find(context.services.prisma, keys, query, context);
    const mine = found.filter((row) => readable(row, context.caller));
    return new Map(mine.map((row) => [keyOf(row), Object.assign(row, { __typename: typeName })]));
  };

type OfBooks = { readonly walletId: string } | { readonly organizationId: string };

/** A type of the books: what is due on the wallets of its rows is posted first, for those who may read them. */
const bookRows =
  <Row extends object & OfBooks>(find: Find<Row>, readable: Readable<Row>, keyOf: (row: Row) => string): LoaderOf =>
  (typeName) => {
    const load = rows(find, readable, keyOf)(typeName);
    return async (keys, context, info) => {
      const before = await load(keys, context, info);
      const { prisma } = context.services;
      const owners = [...before.values()] as Row[];
      const walletIds = owners.flatMap((row) => ('walletId' in row ? [row.walletId] : []));
      const wallets = await prisma.wallet.findMany({
        where: { id: { in: walletIds } },
        select: { organizationId: true },
      });
      const named = owners.flatMap((row) => ('organizationId' in row ? [row.organizationId] : []));
      const organizationIds = new Set([...named, ...wallets.map((wallet) => wallet.organizationId)]);
      const posted = await settleWallets(context.services, [...organizationIds]);
      return posted ? load(keys, context, info) : before;
    };
  };

/** A table whose rows have an id of their own. */
interface Table<Row> {
  findMany(args: { where: { id: { in: string[] } } }): PromiseLike<Row[]>;
}

/** What is asked of a table that keeps the rows of what is gone. */
type StillThere = { removedAt: null } | { deletedAt: null } | { endpoint: { deletedAt: null } };

const findIn =
  <Row>(tableOf: (prisma: Prisma) => Table<Row>, stillThere: StillThere | undefined): Find<Row> =>
  async (prisma, ids, query) =>
    tableOf(prisma).findMany({ ...query, where: { id: { in: ids }, ...stillThere } });

const byId = (row: { readonly id: string }): string => row.id;

const ofTable = <Row extends { id: string }>(
  tableOf: (prisma: Prisma) => Table<Row>,
  readable: Readable<Row>,
  stillThere?: StillThere,
): LoaderOf => rows(findIn(tableOf, stillThere), readable, byId);

const ofBooks = <Row extends { id: string } & OfBooks>(
  tableOf: (prisma: Prisma) => Table<Row>,
  readable: Readable<Row>,
  stillThere?: StillThere,
): LoaderOf => bookRows(findIn(tableOf, stillThere), readable, byId);

const LOADERS_OF: Readonly<Record<string, LoaderOf>> = {
  Wallet: ofBooks<Wallet>(({ wallet }) => wallet, mayReadBilling),
  Bucket: ofBooks<Bucket>(({ bucket }) => bucket, mayReadWallet),
  Lot: ofBooks<Lot>(({ lot }) => lot, mayReadWallet),
  Transaction: ofBooks<Transaction>(({ transaction }) => transaction, mayReadCall),
  Allocation: ofBooks<Allocation>(({ allocation }) => allocation, mayReadAllocation),
  Hold: ofBooks<Hold>(({ hold }) => hold, mayReadCall),
  Purchase: ofBooks<Purchase>(({ purchase }) => purchase, mayReadBilling),
  PlanSubscription: ofBooks<PlanSubscription>(({ planSubscription }) => planSubscription, mayReadBilling),
  SpendLimit: ofBooks<SpendLimit>(({ spendLimit }) => spendLimit, mayReadWallet, { removedAt: null }),
  Alert: ofBooks<Alert>(({ alert }) => alert, mayReadWallet, { removedAt: null }),
  Membership: ofTable<Membership>(({ membership }) => membership, mayReadBilling, { removedAt: null }),
  Project: ofTable<Project>(({ project }) => project, mayReadBilling),
  ApiKey: ofTable<ApiKey>(
    ({ apiKey }) => apiKey,
    (key, caller) => mayReadBilling(key, caller) || (caller.kind === 'API_KEY' && caller.keyId === key.id),
  ),
  AuditRecord: ofTable<AuditRecord>(({ auditRecord }) => auditRecord, mayReadAudit),
  WebhookEndpoint: ofTable<WebhookEndpoint>(({ webhookEndpoint }) => webhookEndpoint, mayReadBilling, {
    deletedAt: null,
  }),
  WebhookDelivery: ofTable<WebhookDelivery>(({ webhookDelivery }) => webhookDelivery, mayReadBilling, {
    endpoint: { deletedAt: null },
  }),
  Organization: rows<Organization>(
    (prisma, ids, query, context) =>
      prisma.organization.findMany({ ...query, where: { AND: [{ id: { in: ids } }, ownOrganizations(context)] } }),
    ({ id }, caller) => may(caller, 'organization:see', id),
    byId,
  ),
  LedgerEntry: bookRows<LedgerEntry>(
    (prisma, keys, query) => prisma.ledgerEntry.findMany({ ...query, where: { OR: keys.flatMap(entryKey) } }),
    mayReadWallet,
    ({ walletId, sequence }) => `${walletId}.${sequence}`,
  ),
  Activity: rows<Activity>(
    (prisma, keys, query) => prisma.activity.findMany({ ...query, where: { OR: keys.flatMap(activityKey) } }),
    mayReadBilling,
    ({ organizationId, number }) => `${organizationId}.${number}`,
  ),
  User: rows<User>(findKnownUsers, () => true, byId),
  Statement: (typeName) => async (keys, context) => {
    const found = await loadStatementNodes(context, keys.flatMap(parseStatementKey));
    return new Map(found.map((row) => [statementKey(row), { ...row, __typename: typeName }]));
  },
  Plan: fromCatalog((catalogs, key) => catalogs.planByKey(key)),
  Package: fromCatalog((catalogs, key) => catalogs.packageByKey(key)),
};

const LOADERS: ReadonlyMap<string, NodeLoader> = new Map(
  Object.entries(LOADERS_OF).map(([typeName, loaderOf]) => [typeName, loaderOf(typeName)]),
);

function entryKey(key: string): { walletId: string; sequence: bigint }[] {
  const [walletId, sequence = ''] = key.split('.');
  return isUuid(walletId) && /^\d{1,18}$/.test(sequence) ? [{ walletId, sequence: BigInt(sequence) }] : [];
}

function parseStatementKey(key: string): StatementKey[] {
  const [walletId, name = ''] = key.split('.');
  const month = parseYearMonth(name);
  return isUuid(walletId) && month !== undefined ? [{ walletId, month }] : [];
}

function activityKey(key: string): { organizationId: string; number: bigint }[] {
  const [organizationId, number = ''] = key.split('.');
  return isUuid(organizationId) && /^\d{1,18}$/.test(number) ? [{ organizationId, number: BigInt(number) }] : [];
}

/** Oneself, and the people of organizations whose members one may read, those who left included: the books name them. */
async function findKnownUsers(
  prisma: Prisma,
  ids: string[],
  query: NodeQuery,
  { caller }: GraphQLContext,
): Promise<User[]> {
  const plausible = ids.filter((id) => !id.includes('\0'));
  const where = { userId: { in: plausible } };
  const memberships = await prisma.membership.findMany({ where, select: { userId: true, organizationId: true } });
  const known = new Set(
    memberships.filter((membership) => mayReadBilling(membership, caller)).map(({ userId }) => userId),
  );
  const isSelf = (id: string) => (caller.kind === 'USER' || caller.kind === 'OPERATOR') && caller.userId === id;
  const readable = plausible.filter((id) => known.has(id) || isSelf(id));
  return prisma.user.findMany({ ...query, where: { id: { in: readable } } });
}

function fromCatalog(find: (catalogs: CatalogStore, key: string) => object | undefined): LoaderOf {
  return (typeName) =>
    async (keys, { services }) =>
      new Map(
        keys.flatMap((key) => {
          const found = find(services.catalogs, key);
          return found ? [[key, { ...found, __typename: typeName }]] : [];
        }),
      );
}

/** One load per type, whatever the number of ids. */
async function loadNodes(
  ids: readonly string[],
  context: GraphQLContext,
  info: GraphQLResolveInfo,
): Promise<(object | null)[]> {
  const decoded = ids.map(parseId);
  const byType = groupBy(
    decoded.filter((id) => id !== null),
    (id) => id.type,
  );
  const found = new Map<string, ReadonlyMap<string, object>>();
  for (const [type, wanted] of byType) {
    const load = LOADERS.get(type);
    const keys = [...new Set(wanted.map((id) => id.key))];
    if (load) found.set(type, await load(keys, context, info));
  }
  return decoded.map((id) => (id === null ? null : (found.get(id.type)?.get(id.key) ?? null)));
}

builder.queryField('node', (t) =>
  t.field({
    type: NodeRef,
    nullable: true,
    description: 'Anything by its id. Null where it does not exist, is not yours or may not be read by you.',
    args: { id: t.arg.id({ required: true, description: 'An id from any answer.' }) },
    resolve: async (_root, { id }, context, info) => (await loadNodes([id], context, info))[0] ?? null,
  }),
);

builder.queryField('nodes', (t) =>
  t.field({
    type: [NodeRef],
    nullable: { list: false, items: true },
    description: 'Several of them, in the order of the ids; at most 100.',
    args: { ids: t.arg.idList({ required: true, description: 'Ids from any answers.' }) },
    resolve: (_root, { ids }, context, info) => {
      if (ids.length > MAX_IDS) throw badUserInput(`ids must have at most ${MAX_IDS} values.`);
      return loadNodes(ids, context, info);
    },
  }),
);
