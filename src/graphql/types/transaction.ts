/** Transactions: one effect on a wallet each. */
import type { GraphQLResolveInfo } from 'graphql';
import { micros } from '../../domain/credits/micros.ts';
import { mayOnWallet } from '../../domain/identity/caller.ts';
import type { Transaction } from '../../generated/prisma/client.ts';
import { decodeLimits, decodeLines } from '../../persistence/batch/line-codec.ts';
import { refundedAmounts, takenFromLots } from '../../persistence/transactions.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { encodeId } from '../ids.ts';
import { mayReadCall } from '../permissions/readable.ts';
import { TransactionKindEnum } from './enums.ts';
import { type Explained, ExplanationRef } from './explanation.ts';
import { NodeRef } from './node.ts';
import { UsageLineRef } from './usage.ts';

/** More entries than any one transaction is expected to have; a bound on what one field can load. */
const MAX_ENTRIES = 1_000;

export const TransactionRef = builder.prismaObject('Transaction', {
  description:
    'One effect on a wallet: a debit, a grant, a purchase. Readable with billing:read, and by the key that made it.',
  interfaces: [NodeRef],
  readableBy: mayReadCall,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (transaction) => encodeId('Transaction', transaction.id) }),
    idempotencyKey: t.exposeString('idempotencyKey', {
      nullable: true,
      description: 'The key it was asked for with; null for what the system did by itself.',
    }),
    postedAt: t.expose('postedAt', { type: 'DateTime', description: 'When it was posted.' }),
    kind: t.expose('kind', { type: TransactionKindEnum, description: 'What it does.' }),
    amount: t.field({
      type: 'Credits',
      description: 'What it moved: negative for spending, 0 for free work.',
      resolve: (transaction) => micros(transaction.amountMicros),
    }),
    entries: t.relation('entries', {
      nullable: true,
      description: 'Its ledger entries by sequence, at most 1,000; null for a key without billing:read.',
      query: { orderBy: { sequence: 'asc' }, take: MAX_ENTRIES },
    }),
    lines: t.field({
      type: [UsageLineRef],
      description: 'How each usage line was priced; empty where nothing was metered.',
      resolve: (transaction) => decodeLines(transaction.lines),
    }),
    refundedAmount: t.field({
      type: 'Credits',
      description: 'What refunds have given back of it; never more than it charged.',
      resolve: ({ id }, _args, context, info) =>
        context.loaders.byPath(info, id, (ids) => refundedAmounts(context.services.sql, ids)),
    }),
    explanation: t.field({
      type: ExplanationRef,
      nullable: true,
      description: 'How a debit or capture came about; null for other kinds, and for a key without billing:read.',
      resolve: (transaction, _args, context, info) => explain(transaction, context, info),
    }),
  }),
});

async function explain(
  { id, walletId, kind, lines, limits, rateCardVersion }: Transaction,
  context: GraphQLContext,
  info: GraphQLResolveInfo,
): Promise<Explained | null> {
  const isCharge = kind === 'DEBIT' || kind === 'CAPTURE';
  if (!isCharge || !mayOnWallet(context.caller, 'billing:read', walletId)) return null;
  const taken = await context.loaders.byPath(info, id, (ids) => takenFromLots(context.services.sql, ids));
  const lots = taken.map((lot) => ({ ...lot, available: null }));
  return { rateCardVersion, lines: decodeLines(lines), limits: decodeLimits(limits), lots };
}
