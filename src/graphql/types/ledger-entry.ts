/** Ledger entries: the immutable record of every movement of credits. */
import { micros } from '../../domain/credits/micros.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { connectionType } from '../pages.ts';
import { mayReadWallet } from '../permissions/readable.ts';
import { ActorRef, resolveActor } from './actor.ts';
import { DirectionEnum } from './enums.ts';
import { NodeRef } from './node.ts';

export const LedgerEntryRef = builder.prismaObject('LedgerEntry', {
  description: 'One movement of credits, never changed after it was posted. Readable with billing:read.',
  interfaces: [NodeRef],
  readableBy: mayReadWallet,
  fields: (t) => ({
    id: t.id({
      description: 'Opaque id.',
      resolve: (entry) => encodeId('LedgerEntry', `${entry.walletId}.${entry.sequence}`),
    }),
    sequence: t.expose('sequence', { type: 'Long', description: 'Its number in the wallet: 1, 2, 3… without gaps.' }),
    direction: t.expose('direction', { type: DirectionEnum, description: 'Into or out of the wallet.' }),
    amount: t.field({
      type: 'Credits',
      description: 'How much moved; always positive.',
      resolve: (entry) => micros(entry.amountMicros),
    }),
    balanceAfter: t.field({
      type: 'Credits',
      description: 'The wallet’s balance after it: that of the entry before, plus or minus the amount.',
      resolve: (entry) => micros(entry.balanceAfterMicros),
    }),
    reasonCode: t.exposeString('reasonCode', {
      description:
        'Why: PURCHASE, BONUS, PLAN_GRANT, ALLOWANCE, GRANT, USAGE, EXPIRY, ADJUSTMENT, or the caller’s own.',
    }),
    lot: t.relation('lot', { nullable: true, description: 'The lot it moved; null for debt.' }),
    bucket: t.relation('bucket', { nullable: true, description: 'The bucket of that lot; null for debt.' }),
    transaction: t.relation('transaction', { description: 'The transaction it is part of.' }),
    taskId: t.exposeString('taskId', { nullable: true, description: 'The caller’s task.' }),
    executionId: t.exposeString('executionId', { nullable: true, description: 'The caller’s execution.' }),
    meter: t.exposeString('meter', { nullable: true, description: 'What was metered, where it was one meter.' }),
    actor: t.field({
      type: ActorRef,
      description: 'Who caused it.',
      resolve: (entry, _args, context) => resolveActor(entry, context),
    }),
    description: t.string({
      nullable: true,
      description: 'The caller’s description, or the operator’s reason.',
      select: { transaction: { select: { description: true } } },
      resolve: (entry) => entry.transaction.description,
    }),
    metadata: t.field({
      type: 'JSON',
      nullable: true,
      description: 'The caller’s metadata.',
      select: { transaction: { select: { metadata: true } } },
      resolve: (entry) => entry.transaction.metadata,
    }),
    postedAt: t.expose('postedAt', {
      type: 'DateTime',
      description: 'When it was posted; never before the entry before it.',
    }),
    effectiveAt: t.expose('effectiveAt', {
      type: 'DateTime',
      description: 'From when it counts: for expiries and allowances the instant they were due.',
    }),
    occurredAt: t.expose('occurredAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the work was done, as the caller says; null where they do not.',
    }),
    rateCardVersion: t.int({
      nullable: true,
      description: 'The rate card that priced it; null where nothing was priced.',
      select: { transaction: { select: { rateCardVersion: true } } },
      resolve: (entry) => entry.transaction.rateCardVersion,
    }),
    hash: t.string({
      description:
        'SHA-256 over the entry and the hash before it, hexadecimal; docs/ledger-hash.md tells how to verify it.',
      resolve: (entry) => Buffer.from(entry.hash).toString('hex'),
    }),
  }),
});

export const LedgerEntryConnection = connectionType('LedgerEntry', LedgerEntryRef, 'newest first');
