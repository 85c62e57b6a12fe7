import { describe, expect, it } from 'vitest';
import type { Catalog } from '../../../src/domain/catalog/catalog.ts';
import { formatProblem } from '../../../src/domain/catalog/locate-problems.ts';
import { parseCatalog } from '../../../src/domain/catalog/parse-catalog.ts';
import { formatDecimal } from '../../../src/domain/credits/decimal.ts';
import { minorDigits } from '../../../src/domain/money/currency.ts';
import { formatMoney } from '../../../src/domain/money/format-money.ts';
import { cheapestFirst } from '../../../src/domain/money/money.ts';
import { postingPolicies } from '../../../src/domain/posting/policies.ts';
import { rateCard } from '../../../src/domain/pricing/rate-card.ts';
import type { PromoCode } from '../../../src/domain/promotions/promo-code.ts';
import { bonusPercent, costPerCredit, type Package, totalCredits } from '../../../src/domain/purchases/package.ts';
import { instant } from '../../../src/domain/time/instant.ts';
import { credits } from '../../support/builders-values.ts';
import { parsedCatalog } from '../../support/catalog-files.ts';

function aPackage(amountMinor: bigint, granted: string, bonus = '0', currency = 'USD'): Package {
  return {
    key: `${currency}-${amountMinor}`,
    name: 'A package',
    price: { amountMinor, currency },
    credits: credits(granted),
    bonusCredits: credits(bonus),
    bucketKey: 'purchased',
    expiresAfterDays: null,
  };
}

describe('a package', () => {
  it('totals what is paid and what is given', () => {
    expect(totalCredits(aPackage(4_500n, '5000', '500'))).toBe(credits('5500'));
  });

  it.each([
    [aPackage(1_000n, '1000'), 2, '0.01'],
    [aPackage(4_500n, '5000', '500'), 2, '0.008182'],
    [aPackage(1_000n, '3'), 2, '3.333333'],
    [aPackage(0n, '5'), 2, '0'],
    [aPackage(1_000n, '1000', '0', 'JPY'), 0, '1'],
    [aPackage(1n, '9000000000000'), 2, '0'],
  ])('%# costs per credit %s', (offer, digits, expected) => {
    expect(formatDecimal(costPerCredit(offer, digits))).toBe(expected);
  });

  it.each([
    [aPackage(1n, '5000', '500'), '10'],
    [aPackage(1n, '20000', '4000'), '20'],
    [aPackage(1n, '3', '1'), '33.33'],
    [aPackage(1n, '3', '2'), '66.67'],
    [aPackage(1n, '1', '0'), '0'],
    [aPackage(1n, '1', '2'), '200'],
  ])('%# has a bonus in percent', (offer, expected) => {
    expect(formatDecimal(bonusPercent(offer))).toBe(expected);
  });
});

describe('cheapestFirst', () => {
  it('orders by price, then key, currencies apart', () => {
    const offers = [
      aPackage(900n, '1', '0', 'USD'),
      aPackage(100n, '1', '0', 'USD'),
      aPackage(500n, '1', '0', 'EUR'),
      { ...aPackage(100n, '1', '0', 'USD'), key: 'A' },
    ];
    expect(cheapestFirst(offers).map((offer) => offer.key)).toEqual(['EUR-500', 'A', 'USD-100', 'USD-900']);
    expect(offers[0]?.key).toBe('USD-900');
  });

  it('compares amounts as integers, not as text or floats', () => {
    const offers = [
      aPackage(10n, '1'),
      aPackage(9n, '1'),
      aPackage(9_007_199_254_740_993n, '1'),
      aPackage(9_007_199_254_740_992n, '1'),
    ];
    expect(cheapestFirst(offers).map((offer) => offer.price.amountMinor)).toEqual([
      9n,
      10n,
      9_007_199_254_740_992n,
      9_007_199_254_740_993n,
    ]);
  });
});

describe('money', () => {
  it.each([
    [4_500n, 'USD', '45.00 USD'],
    [5n, 'USD', '0.05 USD'],
    [0n, 'EUR', '0.00 EUR'],
    [123n, 'JPY', '123 JPY'],
    [0n, 'JPY', '0 JPY'],
    [1_234n, 'KWD', '1.234 KWD'],
    [9_007_199_254_740_993n, 'USD', '90071992547409.93 USD'],
  ])('of %s minor units of %s reads %s', (amountMinor, currency, text) => {
    expect(formatMoney({ amountMinor, currency })).toBe(text);
  });

  it('knows how many digits a currency has', () => {
    expect(['USD', 'JPY', 'KWD'].map(minorDigits)).toEqual([2, 0, 3]);
  });
});

/** A catalog with one plan, `free` and for nothing unless named otherwise. */
function aCatalogWith(plan: string, name = 'key: free, price: { amountMinor: 0, currency: USD }'): Catalog {
  const yaml = `
buckets: [{ key: purchased, name: P, kind: PURCHASED, burnPriority: 1 }]
plans: [{ name: Plan, ${name}, ${plan} }]`;
  const parsed = parseCatalog(yaml);
  if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join('; '));
  return parsed.catalog;
}

const WELCOME: PromoCode = {
  code: 'WELCOME',
  bucketKey: 'promotional',
  credits: credits('20'),
  expiresAfterDays: 30,
  maxRedemptions: 1_000,
  maxPerOrganization: 1,
  startsAt: null,
  endsAt: null,
};

describe('the policies that posting needs', () => {
  it('are those of the catalog, in the units of the domain', () => {
    const catalog: Catalog = {
      buckets: [
        { key: 'promotional', name: 'P', kind: 'PROMOTIONAL', burnPriority: 1, expiresAfterDays: 90 },
        { key: 'purchased', name: 'P', kind: 'PURCHASED', burnPriority: 2, expiresAfterDays: null },
      ],
      plans: [
        ...aCatalogWith('').plans,
        ...aCatalogWith('interval: YEAR', 'key: team, price: { amountMinor: 900, currency: USD }').plans,
      ],
      packages: [],
      promoCodes: [WELCOME],
      rates: [],
      policies: {
        commandCeiling: credits('5'),
        latenessDays: 2,
        holds: { defaultSeconds: 60, maxSeconds: 3_600, graceSeconds: 30 },
        renewals: { retryDays: [1], graceDays: 5 },
        receipts: { issuer: 'R' },
        refunds: { expiredLots: 'NEW_LOT', graceDays: 9, spentCredits: 'DEBT' },
      },
      ratesEffectiveAt: null,
    };
    const cards = [rateCard(1, instant(0), [])];
    const [plan] = aCatalogWith('dailyCreditCap: 1000, overdraft: 7.5, alerts: [{ percent: 20 }]').plans;
    expect(postingPolicies({ version: 3, catalog }, plan ? [plan] : [], cards)).toEqual({
      catalogVersion: 3,
      rateCards: cards,
      commandCeiling: credits('5'),
      latenessMilliseconds: 172_800_000,
      defaultExpiryDays: new Map([['promotional', 90]]),
      planTerms: new Map([['free', { dailyCreditCap: credits('1000'), overdraft: credits('7.5'), frequencyCaps: [] }]]),
      plansOnSale: new Map([
        [
          'free',
          {
            name: 'Plan',
            price: { amountMinor: 0n, currency: 'USD' },
            interval: 'MONTH',
            trialDays: 0,
            allowances: [],
          },
        ],
        [
          'team',
          {
            name: 'Plan',
            price: { amountMinor: 900n, currency: 'USD' },
            interval: 'YEAR',
            trialDays: 0,
            allowances: [],
          },
        ],
      ]),
      plansEverSold: new Map([
        [
          'free',
          {
            name: 'Plan',
            price: { amountMinor: 0n, currency: 'USD' },
            interval: 'MONTH',
            trialDays: 0,
            allowances: [],
          },
        ],
      ]),
      promoCodes: new Map([['WELCOME', WELCOME]]),
      planAlerts: new Map([['free', [{ threshold: null, percent: 20 }]]]),
      topUpSales: {
        packages: new Map(catalog.packages.map((offer) => [offer.key, offer])),
        plans: new Map([['free', { name: 'Plan', topUp: null }]]),
        bucket: { key: 'purchased', expiresAfterDays: null },
      },
      countsUnits: false,
      countsSpending: true,
      countsOperations: false,
      cappedOffers: [
        { planKey: 'free', frequencyCaps: [] },
        { planKey: 'team', frequencyCaps: [] },
      ],
      holds: { defaultLife: 60_000, maxLife: 3_600_000, heldGrace: 30_000 },
      renewals: { retryDays: [1], graceDays: 5 },
      receiptIssuer: 'R',
      spentCredits: 'DEBT',
      frozenGraceDays: 9,
      expiredLotRefund: { kind: 'NEW_LOT', graceDays: 9 },
    });
  });
  it('tell what each plan caps, and the plans on sale by what they cap, cheapest first', () => {
    const capped = parsedCatalog(`
buckets: [{ key: purchased, name: P, kind: PURCHASED, burnPriority: 1 }]
plans:
  - key: team
    name: Team
    price: { amountMinor: 900, currency: USD }
    limits: [{ key: seats, max: 9 }, { key: run, max: 500, window: MONTH }]
  - key: free
    name: Free
    price: { amountMinor: 0, currency: USD }
    limits: [{ key: run, max: 5, window: DAY }, { key: run:preview, max: 1, window: HOUR }, { key: seats, max: 1 }]
rates:
  - { meter: run, unit: run, credits: 1 }
  - { meter: run, unit: run, preview: true, credits: 1 }
`);
    const frequencyCaps = [
      { key: 'run', max: 5, window: 'DAY' },
      { key: 'run:preview', max: 1, window: 'HOUR' },
    ];
    const { planTerms, cappedOffers, countsOperations } = postingPolicies(
      { version: 1, catalog: capped },
      capped.plans.slice(1),
      [],
    );
    expect([...planTerms.values()]).toMatchObject([{ frequencyCaps }]);
    expect(cappedOffers).toEqual([
      { planKey: 'free', frequencyCaps },
      { planKey: 'team', frequencyCaps: [{ key: 'run', max: 500, window: 'MONTH' }] },
    ]);
    expect(countsOperations).toBe(true);
  });
});
