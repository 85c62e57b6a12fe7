/**
 * `node` and `nodes`: anything by its id. Every type has one loader here, which reads the row and says whose it is; the
 * types' own guards decide who may read it. A row that is not the caller's is answered like one that does not exist.
 */
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import { type Caller, may } from '../../domain/identity/caller.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { badUserInput } from '../errors.ts';
import { isUuid, parseId } from '../ids.ts';
import type { NodeQuery } from '../loading/connections.ts';
import { mayReadAudit, mayReadBilling, mayReadTransaction, mayReadWallet } from '../permissions/readable.ts';
import { NodeRef } from '../types/node.ts';
import { ownOrganizations } from './organizations.ts';

const MAX_IDS = 100;

type Load = (key: string, query: NodeQuery, context: GraphQLContext) => Promise<object | null> | object | null;

/** Loads a row and lets it pass only if `readable` does. */
function guarded<Row extends object>(
  load: (key: string, query: NodeQuery, context: GraphQLContext) => Promise<Row | null>,
  readable: (row: Row, caller: Caller) => boolean,
): Load {
  return async (key, query, context) => {
    const row = await load(key, query, context);
    return row && readable(row, context.caller) ? row : null;
  };
}

const mayReadOrganization = ({ organizationId }: { readonly organizationId: string }, caller: Caller) =>
  may(caller, 'billing:read', organizationId);

const LOADERS: Readonly<Record<string, Load>> = {
  Organization: (id, query, context) =>
    context.services.prisma.organization.findFirst({ ...query, where: { AND: [{ id }, ownOrganizations(context)] } }),
  Wallet: guarded(async (id, query, { services, caller }) => {
    const wallet = await services.prisma.wallet.findUnique({ where: { id } });
    if (!wallet || !mayReadBilling(wallet, caller)) return null;
    await settleWallets(services, [wallet.organizationId]);
    return services.prisma.wallet.findUnique({ ...query, where: { id } });
  }, mayReadBilling),
  Bucket: guarded(async (id, query, { services, caller }) => {
    const bucket = await services.prisma.bucket.findUnique({ where: { id }, include: { wallet: true } });
    if (!bucket || !mayReadWallet(bucket, caller)) return null;
    await settleWallets(services, [bucket.wallet.organizationId]);
    return services.prisma.bucket.findUnique({ ...query, where: { id } });
  }, mayReadWallet),
  Lot: guarded(async (id, query, { services, caller }) => {
    const lot = await services.prisma.lot.findUnique({ where: { id }, include: { wallet: true } });
    if (!lot || !mayReadWallet(lot, caller)) return null;
    await settleWallets(services, [lot.wallet.organizationId]);
    return services.prisma.lot.findUnique({ ...query, where: { id } });
  }, mayReadWallet),
  LedgerEntry: guarded(async (key, query, { services }) => {
    const [walletId, sequence] = key.split('.');
    if (!isUuid(walletId) || !/^\d{1,18}$/.test(sequence ?? '')) return null;
    const where = { walletId_sequence: { walletId, sequence: BigInt(sequence ?? 0) } };
    return services.prisma.ledgerEntry.findUnique({ ...query, where });
  }, mayReadWallet),
  Transaction: guarded(
    (id, query, { services }) => services.prisma.transaction.findUnique({ ...query, where: { id } }),
    mayReadTransaction,
  ),
  Purchase: guarded(
    (id, query, { services }) => services.prisma.purchase.findUnique({ ...query, where: { id } }),
    mayReadBilling,
  ),
  PlanSubscription: guarded(
    (id, query, { services }) => services.prisma.planSubscription.findUnique({ ...query, where: { id } }),
    mayReadBilling,
  ),
  Membership: guarded(
    (id, query, { services }) => services.prisma.membership.findUnique({ ...query, where: { id } }),
    mayReadOrganization,
  ),
  Project: guarded(
    (id, query, { services }) => services.prisma.project.findUnique({ ...query, where: { id } }),
    mayReadOrganization,
  ),
  ApiKey: guarded(
    (id, query, { services }) => services.prisma.apiKey.findUnique({ ...query, where: { id } }),
    (key, caller) => mayReadOrganization(key, caller) || (caller.kind === 'API_KEY' && caller.keyId === key.id),
  ),
  AuditRecord: guarded(
    (id, query, { services }) => services.prisma.auditRecord.findUnique({ ...query, where: { id } }),
    mayReadAudit,
  ),
  User: (id, query, { services, caller }) => loadUser(id, query, services, caller),
  Plan: (key, _query, { services }) => services.catalogs.planByKey(key) ?? null,
  Package: (key, _query, { services }) => services.catalogs.packageByKey(key) ?? null,
};

/** Oneself, and the people of organizations whose members one may read. */
async function loadUser(id: string, query: NodeQuery, { prisma }: GraphQLContext['services'], caller: Caller) {
  if (id.includes('\0')) return null;
  const memberships = await prisma.membership.findMany({ where: { userId: id }, select: { organizationId: true } });
  const isSelf = caller.kind !== 'API_KEY' && caller.kind !== 'ANONYMOUS' && caller.userId === id;
  const isKnown = isSelf || memberships.some((membership) => mayReadOrganization(membership, caller));
  return isKnown ? prisma.user.findUnique({ ...query, where: { id } }) : null;
}

async function loadNode(id: string, context: GraphQLContext, info: GraphQLResolveInfo): Promise<object | null> {
  const decoded = parseId(id);
  const load = decoded && Object.hasOwn(LOADERS, decoded.type) ? LOADERS[decoded.type] : undefined;
  if (!decoded || !load) return null;
  const query =
    decoded.type === 'Plan' || decoded.type === 'Package'
      ? {}
      : queryFromInfo({ context, info, typeName: decoded.type });
  const row = await load(decoded.key, query as NodeQuery, context);
  return row === null ? null : Object.assign(row, { __typename: decoded.type });
}

builder.queryField('node', (t) =>
  t.field({
    type: NodeRef,
    nullable: true,
    description: 'Anything by its id. Null where it does not exist, is not yours or may not be read by you.',
    args: { id: t.arg.id({ required: true, description: 'An id from any answer.' }) },
    resolve: (_root, { id }, context, info) => loadNode(id, context, info),
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
      return Promise.all(ids.map((id) => loadNode(id, context, info)));
    },
  }),
);
