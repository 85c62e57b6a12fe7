/** Transactions: one effect on a wallet each. */
import { micros } from '../../domain/credits/micros.ts';
import { decodeLines } from '../../persistence/line-codec.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { mayReadTransaction } from '../permissions/readable.ts';
import { TransactionKindEnum } from './enums.ts';
import { NodeRef } from './node.ts';
import { UsageLineRef } from './usage.ts';

/** More entries than any one transaction is expected to have; a bound on what one field can load. */
const MAX_ENTRIES = 1_000;

export const TransactionRef = builder.prismaObject('Transaction', {
  description:
    'One effect on a wallet: a debit, a grant, a purchase. Readable with billing:read, and by the key that made it.',
  interfaces: [NodeRef],
  readableBy: mayReadTransaction,
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
  }),
});
