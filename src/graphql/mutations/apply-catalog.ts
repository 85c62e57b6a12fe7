import type { CatalogChange } from '../../domain/catalog/diff-catalogs.ts';
import { type AppliedCatalog, applyCatalog } from '../../operations/apply-catalog.ts';
import { signedIn } from '../../operations/authorize.ts';
import { builder } from '../builder.ts';
import { resultUnion } from '../types/result.ts';

const ApplyCatalogInputRef = builder.inputType('ApplyCatalogInput', {
  description: 'A catalog to apply.',
  fields: (t) => ({
    yaml: t.string({
      required: true,
      description:
        'The whole catalog, at most 1,000,000 characters: buckets, plans, packages, rates, policies. What it does not name is no longer on sale.',
    }),
    dryRun: t.boolean({ description: 'True to see what would change, and change nothing. False without it.' }),
  }),
});

const CatalogChangeRef = builder.objectRef<CatalogChange>('CatalogChange').implement({
  description: 'A value of the catalog that differs from the newest version. Spelling and order do not count.',
  fields: (t) => ({
    path: t.exposeString('path', {
      description:
        'Which, by keys: `plans.free.price.amountMinor`, `rates.scrape{"render_js":true}.credits`. A rate is named by its meter and what it matches.',
    }),
    before: t.exposeString('before', {
      nullable: true,
      description: 'What it is: credits and rates as decimals, money in minor units. Null where there is none.',
    }),
    after: t.exposeString('after', {
      nullable: true,
      description: 'What it becomes. Null where there is none any more.',
    }),
  }),
});

const ApplyCatalogPayloadRef = builder.objectRef<AppliedCatalog>('ApplyCatalogPayload').implement({
  description: 'What applying the catalog changes.',
  fields: (t) => ({
    changes: t.field({
      type: [CatalogChangeRef],
      description: 'What differs from the newest version, sorted by path. Empty where the catalog is that version.',
      resolve: ({ changes }) => [...changes],
    }),
    applied: t.exposeBoolean('applied', {
      description: 'True where a new version was stored; false for a dry run, and where nothing differs.',
    }),
    rateCardVersion: t.exposeInt('version', {
      description:
        'The newest version after this call. Its rates price usage from `rateCard(at:) { effectiveAt }` on; entries name the version that priced them.',
    }),
  }),
});

const ApplyCatalogResult = resultUnion('ApplyCatalogResult', ApplyCatalogPayloadRef, ['InvalidInput']);

builder.mutationField('applyCatalog', (t) =>
  t.field({
    type: ApplyCatalogResult,
    description:
      'Applies a catalog as a new version, in all gateways at once. Its rates price usage from its `ratesEffectiveAt` on, else from now; everything else changes now. Plans’ subscribers get changed allowances from their next refresh on. InvalidInput names every problem with its line: what cannot be read, a bucket that changes its kind, rates that would take effect in the past or before those of an earlier version. Operators only; audited.',
    args: { input: t.arg({ type: ApplyCatalogInputRef, required: true, description: 'The catalog.' }) },
    resolve: (_root, { input }, { services, caller }) => applyCatalog(services, signedIn(caller), input),
  }),
);
