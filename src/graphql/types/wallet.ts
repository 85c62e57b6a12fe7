/** Wallets: what an organization has and can spend. */
import { atLeastZero, micros, minus, sum } from '../../domain/credits/micros.ts';
import type { BucketKind } from '../../domain/wallet/bucket.ts';
import { builder } from '../builder.ts';
import { datedPages } from '../dated-pages.ts';
import { encodeId } from '../ids.ts';
import { nestedConnection } from '../loading/connections.ts';
import { loadRunway } from '../loading/runways.ts';
import { loadBalanceAt } from '../loading/wallets.ts';
import { readPage } from '../pages.ts';
import { mayReadBilling } from '../permissions/readable.ts';
import { BucketRef } from './bucket.ts';
import { HoldStatusEnum } from './enums.ts';
import { HoldConnection } from './hold.ts';
import { LedgerEntryConnection } from './ledger-entry.ts';
import { entriesBeyond, LedgerFilterRef, ledgerCursor, ledgerFilter, ledgerOrder } from './ledger-pages.ts';
import { alertCursor, liveCursor } from './live-cursor.ts';
import { LotConnection } from './lot.ts';
import { LOT_LIST_ARGS, lotList } from './lot-list.ts';
import { NodeRef } from './node.ts';
import { RunwayRef } from './runway.ts';

const holdPages = datedPages({ kind: 'hold', field: 'createdAt', order: 'desc' });

interface BucketAmounts {
  readonly kind: BucketKind;
  readonly availableMicros: bigint;
  readonly pinnedMicros: bigint;
  readonly frozenMicros: bigint;
  readonly earmarkedMicros: bigint;
}

/** Asked for alike by every field, so that they are read once, in the statement that reads the wallet: at one instant. */
const IN_BURN_ORDER = { orderBy: [{ burnPriority: 'asc' as const }, { key: 'asc' as const }], take: 100 };

function total(buckets: readonly BucketAmounts[], field: Exclude<keyof BucketAmounts, 'kind'>, ...kinds: BucketKind[]) {
  const counted = kinds.length === 0 ? buckets : buckets.filter((bucket) => kinds.includes(bucket.kind));
  return sum(counted.map((bucket) => micros(bucket[field])));
}

export const WalletRef = builder.prismaObject('Wallet', {
  description:
    'The credits of one organization, true at the instant of reading: what has expired or refreshed by then is posted first. Readable with billing:read.',
  interfaces: [NodeRef],
  readableBy: mayReadBilling,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (wallet) => encodeId('Wallet', wallet.id) }),
    totalAvailable: t.field({
      type: 'Credits',
      description:
        'What can be spent now over all buckets by all together, earmarked credits included, less debt; never negative.',
      select: { buckets: IN_BURN_ORDER },
      resolve: ({ buckets, debtMicros }) => atLeastZero(minus(total(buckets, 'availableMicros'), micros(debtMicros))),
    }),
    subscriptionCredits: t.field({
      type: 'Credits',
      description: 'The part that came with the plan: buckets of kind ALLOWANCE and PLAN.',
      select: { buckets: IN_BURN_ORDER },
      resolve: ({ buckets }) => total(buckets, 'availableMicros', 'ALLOWANCE', 'PLAN'),
    }),
    purchasedCredits: t.field({
      type: 'Credits',
      description: 'The part that was bought, bonus included: buckets of kind PURCHASED.',
      select: { buckets: IN_BURN_ORDER },
      resolve: ({ buckets }) => total(buckets, 'availableMicros', 'PURCHASED'),
    }),
    held: t.field({
      type: 'Credits',
      description: 'What open holds have reserved.',
      select: { buckets: IN_BURN_ORDER },
      resolve: ({ buckets }) => total(buckets, 'pinnedMicros'),
    }),
    debt: t.field({
      type: 'Credits',
      description: 'What was used beyond the balance where a policy allowed it; never negative.',
      resolve: (wallet) => micros(wallet.debtMicros),
    }),
    balance: t.field({
      type: 'Credits',
      description:
        'All lots less debt: the newest entry’s balanceAfter. Counts held, frozen and not yet effective credits.',
      resolve: (wallet) => micros(wallet.balanceMicros),
    }),
    frozenCredits: t.field({
      type: 'Credits',
      description: 'What lies in lots under dispute and cannot be spent.',
      select: { buckets: IN_BURN_ORDER },
      resolve: ({ buckets }) => total(buckets, 'frozenMicros'),
    }),
    unallocated: t.field({
      type: 'Credits',
      description: 'What can be spent now and is earmarked for nobody, less debt; never negative.',
      select: { buckets: IN_BURN_ORDER },
      resolve: ({ buckets, debtMicros }) => {
        const pool = minus(total(buckets, 'availableMicros'), total(buckets, 'earmarkedMicros'));
        return atLeastZero(minus(pool, micros(debtMicros)));
      },
    }),
    frozenAt: t.expose('frozenAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'Since when the self-audit holds all writes, for the books of this wallet do not add up; null otherwise.',
    }),
    sequence: t.expose('sequence', { type: 'Long', description: 'Number of the newest ledger entry.' }),
    version: t.expose('version', { type: 'Long', description: 'Number of the newest change of what can be spent.' }),
    liveCursor: t.string({
      description: 'Subscribe to balanceChanged `after` it: nothing between this answer and the first event is lost.',
      resolve: ({ id, version }) => liveCursor(id, version),
    }),
    runway: t.field({
      type: RunwayRef,
      description: 'How fast its credits are spent and how long they will last.',
      resolve: ({ id }, _args, context, info) => loadRunway(context, info, id),
    }),
    alertCursor: t.string({
      description: 'Subscribe to lowBalance `after` it: no alert between this answer and the first event is lost.',
      resolve: ({ id, alertNumber }) => alertCursor(id, alertNumber),
    }),
    buckets: t.relation('buckets', {
      type: BucketRef,
      description: 'Its buckets, in burn order.',
      query: IN_BURN_ORDER,
    }),
    lots: t.field({
      type: LotConnection,
      description: 'Its lots in burn order.',
      args: LOT_LIST_ARGS,
      resolve: (wallet, args, context, info) =>
        lotList(wallet.id, args, context, info, (where, lots) =>
          context.services.prisma.wallet.findMany({ where, select: { id: true, lots } }),
        ),
    }),
    ledger: t.field({
      type: LedgerEntryConnection,
      description: 'Its entries, newest first.',
      args: {
        filter: t.arg({ type: LedgerFilterRef, description: 'Which entries; all without it.' }),
        first: t.arg.int({ description: 'Rows per page, at most 100; 20 without it.' }),
        after: t.arg.string({ description: 'A cursor of this list: older entries than that.' }),
        last: t.arg.int({
          description: 'Rows per page from the other end, at most 100. Not together with first or after.',
        }),
        before: t.arg.string({
          description: 'A cursor of this list: newer entries than that. Not together with first or after.',
        }),
      },
      resolve: (wallet, { filter, ...args }, context, info) => {
        const page = readPage(args);
        const where = { AND: [ledgerFilter(filter), entriesBeyond(wallet.id, page)] };
        const orderBy = ledgerOrder(filter, page);
        return nestedConnection(wallet.id, context, info, {
          page,
          cursorOf: ledgerCursor,
          read: async (ids, query, take) => {
            const entries = { ...query, where, orderBy, take };
            const rows = await context.services.prisma.wallet.findMany({
              where: { id: { in: ids } },
              select: { id: true, entries },
            });
            return rows.map(({ id, entries: ofWallet }) => ({ id, rows: ofWallet }));
          },
        });
      },
    }),
    balanceAt: t.field({
      type: 'Credits',
      description:
        'The balance at an instant: what the newest entry with an `effectiveAt` by then has left. 0 before the first entry; now for instants ahead of the organization’s clock. Negative for debt.',
      args: { at: t.arg({ type: 'DateTime', required: true, description: 'The instant, itself included.' }) },
      resolve: (wallet, { at }, context, info) => loadBalanceAt(context, info, wallet, at),
    }),
    holds: t.field({
      type: HoldConnection,
      description: 'Its holds, newest first.',
      args: {
        status: t.arg({ type: HoldStatusEnum, description: 'Holds in this state; all without it.' }),
        first: t.arg.int({ description: 'Rows per page, at most 100; 20 without it.' }),
        after: t.arg.string({ description: 'A cursor of this list: rows after it.' }),
      },
      resolve: (wallet, { status, ...args }, context, info) => {
        const page = readPage(args);
        const where = { AND: [status ? { status } : {}, holdPages.after(page)] };
        return nestedConnection(wallet.id, context, info, {
          page,
          cursorOf: holdPages.cursorOf,
          read: async (ids, query, take) => {
            const holds = { ...query, where, orderBy: holdPages.orderBy, take };
            const rows = await context.services.prisma.wallet.findMany({
              where: { id: { in: ids } },
              select: { id: true, holds },
            });
            return rows.map(({ id, holds: ofWallet }) => ({ id, rows: ofWallet }));
          },
        });
      },
    }),
  }),
});
