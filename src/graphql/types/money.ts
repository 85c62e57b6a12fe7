/** Money: minor units and a currency, never a float. */
import type { Money } from '../../domain/money/money.ts';
import { builder } from '../builder.ts';

export const MoneyRef = builder.objectRef<Money>('Money').implement({
  description: 'An amount of money.',
  fields: (t) => ({
    amountMinor: t.field({
      type: 'Long',
      description: 'In minor units of the currency: cents for USD.',
      resolve: (money) => money.amountMinor,
    }),
    currency: t.exposeString('currency', { description: 'ISO 4217 code.' }),
  }),
});
