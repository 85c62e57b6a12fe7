/** Packages of the catalog. */

import { minorDigits } from '../../domain/money/currency.ts';
import { bonusPercent, costPerCredit, type Package, totalCredits } from '../../domain/purchases/package.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { MoneyRef } from './money.ts';
import { NodeRef } from './node.ts';

export const PackageRef = builder.objectRef<Package>('Package').implement({
  description: 'Credits on sale at one price, larger ones with a bonus.',
  interfaces: [NodeRef],
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (offer) => encodeId('Package', offer.key) }),
    key: t.exposeString('key', { description: 'Its key in the catalog.' }),
    name: t.exposeString('name', { description: 'Display name.' }),
    price: t.field({ type: MoneyRef, description: 'What it costs.', resolve: (offer) => offer.price }),
    credits: t.expose('credits', { type: 'Credits', description: 'Credits that the price pays for.' }),
    bonusCredits: t.expose('bonusCredits', { type: 'Credits', description: 'Credits on top; 0 for none.' }),
    totalCredits: t.field({ type: 'Credits', description: 'Both together.', resolve: totalCredits }),
    costPerCredit: t.field({
      type: 'Decimal',
      description:
        'Price per credit, bonus included, in major units (dollars), to 6 fraction digits, half away from zero.',
      resolve: (offer) => costPerCredit(offer, minorDigits(offer.price.currency)),
    }),
    bonusPercent: t.field({
      type: 'Decimal',
      description: 'The bonus in percent of the credits paid for, to 2 fraction digits, half away from zero.',
      resolve: bonusPercent,
    }),
    expiresAfterDays: t.exposeInt('expiresAfterDays', {
      nullable: true,
      description: 'Local days after payment until its credits expire; null for never.',
    }),
  }),
});
