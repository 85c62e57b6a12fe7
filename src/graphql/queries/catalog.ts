import { cheapestFirst } from '../../domain/money/money.ts';
import { rateCardAt } from '../../domain/pricing/price.ts';
import { builder } from '../builder.ts';
import { PackageRef } from '../types/package.ts';
import { PlanRef } from '../types/plan.ts';
import { RateCardRef } from '../types/rate-card.ts';

builder.queryField('plans', (t) =>
  t.field({
    type: [PlanRef],
    description: 'The plans on sale, cheapest first. Public.',
    resolve: (_root, _args, { services }) => cheapestFirst(services.catalogs.current.catalog.plans),
  }),
);

builder.queryField('packages', (t) =>
  t.field({
    type: [PackageRef],
    description: 'The packages on sale, cheapest first. Public.',
    resolve: (_root, _args, { services }) => cheapestFirst(services.catalogs.current.catalog.packages),
  }),
);

builder.queryField('rateCard', (t) =>
  t.field({
    type: RateCardRef,
    description: 'What usage costs. Public.',
    args: { at: t.arg({ type: 'DateTime', description: 'The card in effect at this instant; now without it.' }) },
    resolve: async (_root, { at }, { services, loaders }) =>
      rateCardAt(services.catalogs.rateCards, at ?? (await loaders.databaseNow())),
  }),
);
