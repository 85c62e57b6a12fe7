/** Top-ups that begin by themselves. */
import type { AutoTopUpStatus } from '../../operations/auto-top-up-status.ts';
import { builder } from '../builder.ts';
import { MoneyRef } from './money.ts';
import { PackageRef } from './package.ts';

export const AutoTopUpRef = builder.objectRef<AutoTopUpStatus>('AutoTopUp').implement({
  description:
    'A purchase that begins by itself after a charge or hold leaves less than the threshold to spend, or is refused for want of credits while less is left: never inside of it, and one at a time. After a decline the next attempt waits a minute, after the second in a row ten; the third suspends.',
  fields: (t) => ({
    enabled: t.exposeBoolean('enabled', { description: 'False where it is switched off.' }),
    threshold: t.expose('threshold', {
      type: 'Credits',
      description: 'One begins when less than this can be spent; more than 0.',
    }),
    package: t.field({
      type: PackageRef,
      nullable: true,
      description: 'The package that is bought; null where `credits` are, and once it is no longer on sale.',
      resolve: ({ choice: { packageKey } }, _args, { services }) =>
        packageKey === null ? null : (services.catalogs.packageByKey(packageKey) ?? null),
    }),
    credits: t.field({
      type: 'Credits',
      nullable: true,
      description: 'The credits that are bought, at the price of the plan’s top-ups; null where a package is.',
      resolve: ({ choice }) => choice.credits,
    }),
    monthlyCeiling: t.field({
      type: MoneyRef,
      description: 'The most that one calendar month of the organization may cost.',
      resolve: ({ ceiling }) => ceiling,
    }),
    spentThisMonth: t.field({
      type: MoneyRef,
      description:
        'What was begun this month, in the ceiling’s currency; what was declined or refunded does not count.',
      resolve: ({ spentThisMonth }) => spentThisMonth,
    }),
    suspendedReason: t.exposeString('suspendedReason', {
      nullable: true,
      description:
        'Why none begins: declined three times in a row, no longer on sale, no active subscription (until it is configured again), or the ceiling is reached (until the month ends). Null where nothing is in the way.',
    }),
  }),
});
