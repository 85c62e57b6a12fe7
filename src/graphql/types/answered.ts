/** The fields that payloads of postings share. */
import { micros, negate } from '../../domain/credits/micros.ts';
import type { Answered } from '../../operations/outcome.ts';
import { decodeLines } from '../../persistence/batch/line-codec.ts';
import type { BuilderTypes } from '../builder.ts';
import { loadWallet } from '../loading/wallets.ts';
import { answering } from '../permissions/readable.ts';
import { TransactionRef } from './transaction.ts';
import { UsageRef } from './usage.ts';
import { WalletRef } from './wallet.ts';

export const answeredFields = (t: PothosSchemaTypes.ObjectFieldBuilder<BuilderTypes, Answered>) => ({
  transaction: t.field({
    type: TransactionRef,
    description: 'The transaction.',
    resolve: (answer) => answer.transaction,
  }),
  wallet: t.field({
    type: WalletRef,
    description: 'The wallet as it is now.',
    resolve: async ({ organizationId }, _args, context, info) => {
      const wallet = await loadWallet(context, info, organizationId);
      if (!wallet) throw new Error('who is given credits may read the wallet');
      return wallet;
    },
  }),
  replayed: t.exposeBoolean('replayed', { description: 'True where this is the first answer given again.' }),
});

/** What every charging payload tells besides what it did. */
export const toldFields = <Told extends Pick<Answered, 'organizationId' | 'available' | 'replayed'>>(
  t: PothosSchemaTypes.ObjectFieldBuilder<BuilderTypes, Told>,
) => ({
  availableCredits: t.field({
    type: 'Credits',
    description:
      'What could be spent right after it by those whom the call was for: what is earmarked for others is not in it.',
    resolve: ({ available }) => available,
  }),
  wallet: t.field({
    type: WalletRef,
    nullable: true,
    description: 'The wallet as it is now; null to a key without billing:read.',
    resolve: ({ organizationId }, _args, context, info) => loadWallet(context, info, organizationId),
  }),
  replayed: t.boolean({
    description: 'True where this is the first answer given again.',
    resolve: ({ replayed }) => replayed,
  }),
});

/** What the payloads of charges tell of the transaction that they made. */
export const chargedFields = <Charged extends Pick<Answered, 'transaction'>>(
  t: PothosSchemaTypes.ObjectFieldBuilder<BuilderTypes, Charged>,
) => ({
  transaction: t.field({
    type: TransactionRef,
    description: 'The transaction.',
    resolve: ({ transaction }) => answering(transaction),
  }),
  usage: t.field({
    type: UsageRef,
    description: 'What it used and cost.',
    resolve: ({ transaction }) => ({
      credits: negate(micros(transaction.amountMicros)),
      lines: decodeLines(transaction.lines),
    }),
  }),
});
