/** Purchases: what was bought for money. */

import { micros } from '../../domain/credits/micros.ts';
import { may } from '../../domain/identity/caller.ts';
import { receiptNumber } from '../../domain/purchases/receipt.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { connectionType } from '../pages.ts';
import { mayReadBilling } from '../permissions/readable.ts';
import { ActorRef, resolveActor } from './actor.ts';
import { PurchaseKindEnum, PurchaseStatusEnum } from './enums.ts';
import { LedgerEntryRef } from './ledger-entry.ts';
import { MoneyRef } from './money.ts';
import { NodeRef } from './node.ts';
import { PackageRef } from './package.ts';

export const PurchaseRef = builder.prismaObject('Purchase', {
  description: 'Something bought for money. Its credits are posted when it is paid. Readable with billing:read.',
  interfaces: [NodeRef],
  readableBy: mayReadBilling,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (purchase) => encodeId('Purchase', purchase.id) }),
    organization: t.relation('organization', { description: 'Who bought it.' }),
    status: t.expose('status', { type: PurchaseStatusEnum, description: 'Its state.' }),
    kind: t.expose('kind', { type: PurchaseKindEnum, description: 'What was bought.' }),
    package: t.field({
      type: PackageRef,
      nullable: true,
      description: 'The package as it was when it was bought; null for other kinds.',
      resolve: ({ packageKey, catalogVersion }, _args, { services }) =>
        packageKey === null ? null : (services.catalogs.packageIn(catalogVersion, packageKey) ?? null),
    }),
    credits: t.field({
      type: 'Credits',
      description: 'Credits that the price pays for.',
      resolve: (purchase) => micros(purchase.creditsMicros),
    }),
    bonusCredits: t.field({
      type: 'Credits',
      description: 'Credits on top; 0 for none.',
      resolve: (purchase) => micros(purchase.bonusMicros),
    }),
    price: t.field({
      type: MoneyRef,
      description: 'What it costs.',
      resolve: ({ priceMinor, currency }) => ({ amountMinor: priceMinor, currency }),
    }),
    checkoutUrl: t.string({
      nullable: true,
      description:
        'Where to pay, with a token that works once; for what is charged while nobody is there, where the provider waits for somebody, if it does. Null to those who may not buy and once the purchase has ended.',
      resolve: ({ checkoutUrl, status, organizationId }, _args, { caller, publicUrl }) => {
        if (status !== 'PENDING' || !may(caller, 'billing:write', organizationId)) return null;
        return checkoutUrl?.startsWith('/') ? publicUrl + checkoutUrl : checkoutUrl;
      },
    }),
    receiptNumber: t.string({
      nullable: true,
      description: 'The number of its receipt, without gaps per issuer; null until it is paid.',
      resolve: ({ receiptIssuer, receiptSequence }) =>
        receiptIssuer === null || receiptSequence === null ? null : receiptNumber(receiptIssuer, receiptSequence),
    }),
    receiptUrl: t.string({
      nullable: true,
      description:
        'A page with the receipt, to read and print; its token opens this receipt and nothing else. Null until it is paid.',
      resolve: ({ paidAt, receiptToken }, _args, { publicUrl }) =>
        paidAt === null ? null : `${publicUrl}/receipts/${receiptToken}`,
    }),
    invoiceId: t.string({
      nullable: true,
      description: 'The payment provider’s own reference of the payment; null until it is paid.',
      resolve: ({ paidAt, providerReference }) => (paidAt === null ? null : providerReference),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was begun.' }),
    paidAt: t.expose('paidAt', { type: 'DateTime', nullable: true, description: 'When it was paid; null until then.' }),
    actor: t.field({
      type: ActorRef,
      description: 'Who bought it.',
      resolve: (purchase, _args, context) => resolveActor(purchase, context),
    }),
    entries: t.field({
      type: [LedgerEntryRef],
      description: 'The ledger entries that it made; empty until it is paid.',
      select: (_args, _context, nestedSelection) => ({
        transactions: { select: { entries: nestedSelection({ orderBy: { sequence: 'asc' }, take: 10 }) } },
      }),
      resolve: (purchase) => purchase.transactions.flatMap((transaction) => transaction.entries),
    }),
  }),
});

export const PurchaseConnection = connectionType('Purchase', PurchaseRef, 'newest first');
