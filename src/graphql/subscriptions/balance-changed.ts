import { micros, ZERO } from '../../domain/credits/micros.ts';
import type { Tenant } from '../../domain/identity/caller.ts';
import type { PostedChange } from '../../domain/posting/records.ts';
import { settleWallets } from '../../operations/settle-wallets.ts';
import { BALANCE_CHANGES, eventsAfter } from '../../persistence/event-sources.ts';
import { walletState } from '../../persistence/live-rows.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { badUserInput, cursorExpired } from '../errors.ts';
import { follow } from '../live/follow.ts';
import { liveTenant } from '../live/tenant.ts';
import { loadWritten } from '../loading/rows.ts';
import { liveCursor, versionOf } from '../types/live-cursor.ts';
import { TransactionRef } from '../types/transaction.ts';
import { WalletRef } from '../types/wallet.ts';

const BalanceChangeRef = builder.objectRef<PostedChange>('BalanceChange').implement({
  description:
    'One change of what a wallet can spend: exactly one per version, in order, unless the stream coalesces. All fields but `wallet` are as of that version.',
  fields: (t) => ({
    cursor: t.string({
      description: 'Subscribe `after` it to go on behind this event.',
      resolve: ({ walletId, version }) => liveCursor(walletId, version),
    }),
    version: t.expose('version', { type: 'Long', description: 'The wallet’s version after the change.' }),
    sequence: t.expose('sequence', { type: 'Long', description: 'The newest ledger entry then.' }),
    change: t.expose('change', {
      type: 'Credits',
      description:
        'By how much totalAvailable changed, since the event before where the stream coalesces; signed, may be 0.',
    }),
    reasonCode: t.exposeString('reasonCode', {
      description: 'Why: the leading reason code of the transaction, LOT_STARTED, or SNAPSHOT for the opening state.',
    }),
    totalAvailable: t.expose('totalAvailable', { type: 'Credits', description: 'What could be spent after it.' }),
    held: t.expose('held', { type: 'Credits', description: 'What open holds had reserved after it.' }),
    wallet: t.field({
      type: WalletRef,
      description: 'The wallet as it is now, which may be later than this event.',
      resolve: ({ walletId: id }, _args, context, info) =>
        loadWritten(context, info, (query) => context.services.prisma.wallet.findUnique({ ...query, where: { id } })),
    }),
    transaction: t.field({
      type: TransactionRef,
      nullable: true,
      description: 'The transaction that changed it; null where no credits moved.',
      resolve: ({ transactionId: id }, _args, context, info) =>
        id === null
          ? null
          : loadWritten(context, info, (query) =>
              context.services.prisma.transaction.findUnique({ ...query, where: { id } }),
            ),
    }),
    occurredAt: t.expose('occurredAt', { type: 'DateTime', description: 'From when it counts.' }),
  }),
});

interface Asked {
  /** The version that was seen last; null for a stream that begins with the state now. */
  readonly after: bigint | null;
  readonly coalesce: boolean;
}

async function balanceChanges(
  context: GraphQLContext,
  tenant: Tenant,
  { after, coalesce }: Asked,
): Promise<AsyncIterable<PostedChange>> {
  const { walletId } = tenant;
  const { sql } = context.services;
  await settleWallets(context.services, [tenant.organizationId]);
  const { now: occurredAt, ...state } = await walletState(sql, walletId);
  if (after !== null && after > state.version) throw badUserInput('after is not a cursor of this wallet.');
  const snapshot = {
    ...state,
    occurredAt,
    walletId,
    transactionId: null,
    change: ZERO,
    reasonCode: 'SNAPSHOT',
  } as const;
  const load: Load = async (version, limit) => {
    const rows = await eventsAfter(sql, BALANCE_CHANGES, tenant, version, limit);
    // Versions have no gaps: what is missing was forgotten.
    if (rows[0] && rows[0].version !== version + 1n) throw cursorExpired();
    return rows;
  };
  // Read also where it is not sent from here: a cursor that has expired is refused at once.
  const [missed] = after === null || after === state.version ? [] : await load(after, 1);
  const netChange = missed && coalesce ? await netChangeSince(load, missed, state.version) : [];
  return follow<PostedChange>(context, {
    type: 'balance.changed',
    tenant,
    opening: after === null ? [snapshot] : netChange,
    after: coalesce ? state.version : (after ?? state.version),
    numberOf: (change) => change.version,
    load,
    ...(coalesce ? { coalesce: { from: snapshot, merge: merged } } : {}),
  });
}

/** The newest state as it looks to who has seen `last`: everything is as of it, and the change is what both differ by. */
const merged = (last: Pick<PostedChange, 'totalAvailable'>, newest: PostedChange): PostedChange => ({
  ...newest,
  change: micros(newest.totalAvailable - last.totalAvailable),
});

type Load = (version: bigint, limit: number) => Promise<PostedChange[]>;

/** What happened from a change to the newest version, as one change. */
async function netChangeSince(load: Load, first: PostedChange, version: bigint): Promise<PostedChange[]> {
  const before = { totalAvailable: micros(first.totalAvailable - first.change) };
  const newest = await load(version - 1n, 1);
  return newest.map((change) => merged(before, change));
}

builder.subscriptionField('balanceChanged', (t) =>
  t.field({
    type: BalanceChangeRef,
    description:
      'Every change of what an organization can spend, each once and in order. Needs billing:read. A client that is more than 1,000 events behind and does not read is closed with 4429 (over SSE: an error TOO_SLOW) and can resume; one whose credential ends is closed with 4403.',
    args: {
      organizationId: t.arg.id({ required: true, description: 'Whose wallet.' }),
      after: t.arg.string({
        description:
          'A cursor of this stream or a wallet’s liveCursor: events since then come first. Without it the stream opens with the state now (SNAPSHOT). Events are kept for 30 days, unless the operator says otherwise; a cursor whose next event is not kept any more is refused with CURSOR_EXPIRED.',
      }),
      coalesce: t.arg.boolean({
        description:
          'True asks for the newest state only: while the client reads, changes are merged into one event, whose `change` is the net change since the event before and whose other fields are of the newest version. Such a stream is never closed for being slow. False by default.',
      }),
    },
    subscribe: async (_root, { organizationId, after, coalesce }, context) => {
      const tenant = await liveTenant(context, organizationId);
      const version = after === null || after === undefined ? null : versionOf(tenant.walletId, after);
      return balanceChanges(context, tenant, { after: version, coalesce: coalesce === true });
    },
    resolve: (change) => change,
  }),
);
