/**
 * `node` and `nodes`: anything by its id. Every type has one loader here, which reads all rows of that type at once, and
 * says who may read them. A row that is not the caller's is answered like one that does not exist.
 */
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import { groupBy } from '../../domain/group-by.ts';
import { type Caller, may } from '../../domain/identity/caller.ts';
import type {
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
  Transaction,
  User,
  Wallet,
} from '../../generated/prisma/client.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import type { Prisma } from '../../persistence/prisma.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { badUserInput } from '../errors.ts';
import { isUuid, parseId } from '../ids.ts';
import type { NodeQuery } from '../loading/connections.ts';
import {
  mayReadAllocation,
  mayReadAudit,
  mayReadBilling,
  mayReadCall,
  mayReadWallet,
} from '../permissions/readable.ts';
import { NodeRef } from '../types/node.ts';
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

/** A type whose rows are read through Prisma. */
function rows<Row extends object>(
  typeName: string,
  find: Find<Row>,
  readable: Readable<Row>,
  keyOf: (row: Row) => string,
): NodeLoader {
  return async (keys, context, info) => {
    const query = queryFromInfo({ context, info, typeName }) as NodeQuery;
    const found = await find(context.services.prisma, keys, query, context);
    const mine = found.filter((row) => readable(row, context.caller));
    return new Map(mine.map((row) => [keyOf(row), Object.assign(row, { __typename: typeName })]));
  };
}

/** A type of the books: what is due on the wallets of its rows is posted first, for those who may read them. */
function bookRows<Row extends object & ({ walletId: string } | { organizationId: string })>(
  typeName: string,
  find: Find<Row>,
  readable: Readable<Row>,
  keyOf: (row: Row) => string,
): NodeLoader {
  const load = rows(typeName, find, readable, keyOf);
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
}

const byId = (row: { readonly id: string }): string => row.id;

const LOADERS: Readonly<Record<string, NodeLoader>> = {
  Organization: rows<Organization>(
    'Organization',
    (prisma, ids, query, context) =>
      prisma.organization.findMany({ ...query, where: { AND: [{ id: { in: ids } }, ownOrganizations(context)] } }),
    ({ id }, caller) => may(caller, 'organization:see', id),
    byId,
  ),
  Wallet: bookRows<Wallet>(
    'Wallet',
    (prisma, ids, query) => prisma.wallet.findMany({ ...query, where: { id: { in: ids } } }),
    mayReadBilling,
    byId,
  ),
  Bucket: bookRows<Bucket>(
    'Bucket',
    (prisma, ids, query) => prisma.bucket.findMany({ ...query, where: { id: { in: ids } } }),
    mayReadWallet,
    byId,
  ),
  Lot: bookRows<Lot>(
    'Lot',
    (prisma, ids, query) => prisma.lot.findMany({ ...query, where: { id: { in: ids } } }),
    mayReadWallet,
    byId,
  ),
  LedgerEntry: bookRows<LedgerEntry>(
    'LedgerEntry',
    (prisma, keys, query) => prisma.ledgerEntry.findMany({ ...query, where: { OR: keys.flatMap(entryKey) } }),
    mayReadWallet,
    ({ walletId, sequence }) => `${walletId}.${sequence}`,
  ),
  Transaction: bookRows<Transaction>(
    'Transaction',
    (prisma, ids, query) => prisma.transaction.findMany({ ...query, where: { id: { in: ids } } }),
    mayReadCall,
    byId,
  ),
  Allocation: bookRows<Allocation>(
    'Allocation',
    (prisma, ids, query) => prisma.allocation.findMany({ ...query, where: { id: { in: ids } } }),
    mayReadAllocation,
    byId,
  ),
  Hold: bookRows<Hold>(
    'Hold',
    (prisma, ids, query) => prisma.hold.findMany({ ...query, where: { id: { in: ids } } }),
    mayReadCall,
    byId,
  ),
  Purchase: bookRows<Purchase>(
    'Purchase',
    (prisma, ids, query) => prisma.purchase.findMany({ ...query, where: { id: { in: ids } } }),
    mayReadBilling,
    byId,
  ),
  PlanSubscription: bookRows<PlanSubscription>(
    'PlanSubscription',
    (prisma, ids, query) => prisma.planSubscription.findMany({ ...query, where: { id: { in: ids } } }),
    mayReadBilling,
    byId,
  ),
  Membership: rows<Membership>(
    'Membership',
    (prisma, ids, query) => prisma.membership.findMany({ ...query, where: { id: { in: ids }, removedAt: null } }),
    mayReadBilling,
    byId,
  ),
  Project: rows<Project>(
    'Project',
    (prisma, ids, query) => prisma.project.findMany({ ...query, where: { id: { in: ids } } }),
    mayReadBilling,
    byId,
  ),
  ApiKey: rows<ApiKey>(
    'ApiKey',
    (prisma, ids, query) => prisma.apiKey.findMany({ ...query, where: { id: { in: ids } } }),
    (key, caller) => mayReadBilling(key, caller) || (caller.kind === 'API_KEY' && caller.keyId === key.id),
    byId,
  ),
  AuditRecord: rows<AuditRecord>(
    'AuditRecord',
    (prisma, ids, query) => prisma.auditRecord.findMany({ ...query, where: { id: { in: ids } } }),
    mayReadAudit,
    byId,
  ),
  User: rows<User>('User', findKnownUsers, () => true, byId),
  Plan: async (keys, { services }) => fromCatalog('Plan', keys, (key) => services.catalogs.planByKey(key)),
  Package: async (keys, { services }) => fromCatalog('Package', keys, (key) => services.catalogs.packageByKey(key)),
};

function entryKey(key: string): { walletId: string; sequence: bigint }[] {
  const [walletId, sequence = ''] = key.split('.');
  return isUuid(walletId) && /^\d{1,18}$/.test(sequence) ? [{ walletId, sequence: BigInt(sequence) }] : [];
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

function fromCatalog<T extends object>(
  typeName: string,
  keys: string[],
  find: (key: string) => T | undefined,
): ReadonlyMap<string, object> {
  return new Map(
    keys.flatMap((key) => {
      const found = find(key);
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
    const load = Object.hasOwn(LOADERS, type) ? LOADERS[type] : undefined;
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
