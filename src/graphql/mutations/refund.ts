import { signedIn } from '../../operations/authorize.ts';
import type { Answered } from '../../operations/outcome.ts';
import { refund } from '../../operations/refund.ts';
import { builder } from '../builder.ts';
import { decodeId } from '../ids.ts';
import { answering } from '../permissions/readable.ts';
import { toldFields } from '../types/answered.ts';
import { resultUnion } from '../types/result.ts';
import { TransactionRef } from '../types/transaction.ts';

const RefundInputRef = builder.inputType('RefundInput', {
  description: 'What to give back.',
  fields: (t) => ({
    transactionId: t.id({ required: true, description: 'The debit or capture that charged it.' }),
    idempotencyKey: t.string({ required: true, description: 'As for `debit`.' }),
    amount: t.field({
      type: 'Credits',
      description: 'Credits to give back, more than 0; all that is left without it.',
    }),
    reason: t.string({ description: 'For people reading the ledger; at most 500 characters.' }),
  }),
});

const RefundPayloadRef = builder.objectRef<Answered>('RefundPayload').implement({
  description: 'What was given back.',
  fields: (t) => ({
    transaction: t.field({
      type: TransactionRef,
      description: 'The refund’s own transaction; its amount is positive.',
      resolve: ({ transaction }) => answering(transaction),
    }),
    ...toldFields(t),
  }),
});

const RefundResult = resultUnion('RefundResult', RefundPayloadRef, [
  'RefundExceedsOriginal',
  'IdempotencyKeyReused',
  'WalletFrozen',
  'Conflict',
  'NotFound',
  'InvalidInput',
]);

builder.mutationField('refund', (t) =>
  t.field({
    type: RefundResult,
    description:
      'Gives back what a debit or capture charged, to the lots it was spent from, last spent first. What belongs to a lot that has expired gets a new lot or is forfeited, as the catalog says. Needs billing:write.',
    args: { input: t.arg({ type: RefundInputRef, required: true, description: 'What to give back.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      refund(services, signedIn(caller), {
        ...input,
        transactionId: decodeId('Transaction', input.transactionId),
      }),
  }),
);
