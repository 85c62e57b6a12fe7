/** Catalogs as values: any, and small ones for what a test is about. */
import fc from 'fast-check';
import type { Catalog, CatalogVersion } from '../../src/domain/catalog/catalog.ts';
import { MICROS_PER_CREDIT, micros } from '../../src/domain/credits/micros.ts';
import { instant } from '../../src/domain/time/instant.ts';
import { aRate } from './builders-values.ts';
import { parsedCatalog } from './catalog-files.ts';

const KEYS = ['a', 'b', 'c'] as const;
const credits = fc.bigInt({ min: 0n, max: 1_000n * MICROS_PER_CREDIT }).map(micros);
const money = fc.record({ amountMinor: fc.bigInt({ min: 0n, max: 10_000n }), currency: fc.constantFrom('USD', 'EUR') });
const name = fc.constantFrom('One', 'Another');
const days = fc.option(fc.integer({ min: 1, max: 400 }));
const keyed = <T extends object>(fields: fc.Arbitrary<T>): fc.Arbitrary<(T & { key: string })[]> =>
  fc.uniqueArray(
    fc.tuple(fc.constantFrom(...KEYS), fields).map(([key, rest]) => ({ ...rest, key })),
    { selector: ({ key }) => key },
  );

/** Any catalog over a few keys, so that two of them share some of their items. */
export function aCatalog(): fc.Arbitrary<Catalog> {
  return fc.record({
    buckets: keyed(
      fc.record({
        name,
        kind: fc.constantFrom('ALLOWANCE', 'PLAN', 'PURCHASED', 'PROMOTIONAL'),
        burnPriority: fc.nat(3),
        expiresAfterDays: days,
      }),
    ),
    plans: keyed(
      fc.record({
        name,
        description: fc.option(name),
        price: money,
        interval: fc.constantFrom('MONTH', 'YEAR'),
        trialDays: fc.nat(2),
        allowances: fc.uniqueArray(
          fc.record({
            bucketKey: fc.constantFrom(...KEYS),
            interval: fc.constantFrom('DAY', 'MONTH'),
            credits,
            rolloverLimit: fc.option(credits),
          }),
          { selector: ({ bucketKey }) => bucketKey },
        ),
        dailyCreditCap: fc.option(credits),
        overdraft: credits,
        limits: fc.uniqueArray(
          fc.record({ key: fc.constantFrom('projects', 'seats'), max: fc.nat(9), window: fc.constant(null) }),
          { selector: ({ key }) => key },
        ),
        topUp: fc.option(fc.record({ increment: credits, unitPrice: money })),
        features: fc.array(name, { maxLength: 2 }),
        alerts: fc.uniqueArray(
          fc.oneof(
            fc.record({ threshold: credits, percent: fc.constant(null) }),
            fc.record({ threshold: fc.constant(null), percent: fc.integer({ min: 1, max: 100 }) }),
          ),
          { maxLength: 3, selector: ({ threshold, percent }) => `${threshold} ${percent}` },
        ),
      }),
    ),
    packages: keyed(
      fc.record({
        name,
        price: money,
        credits,
        bonusCredits: credits,
        bucketKey: fc.constantFrom(...KEYS),
        expiresAfterDays: days,
      }),
    ),
    promoCodes: fc.uniqueArray(
      fc.record({
        code: fc.constantFrom('WELCOME', 'SPRING-26'),
        bucketKey: fc.constantFrom(...KEYS),
        credits,
        expiresAfterDays: days,
        maxRedemptions: fc.option(fc.nat(9)),
        maxPerOrganization: fc.nat(3),
        startsAt: fc.option(fc.nat().map(instant)),
        endsAt: fc.option(fc.nat().map(instant)),
      }),
      { selector: ({ code }) => code },
    ),
    rates: fc.uniqueArray(
      fc
        .record({
          meter: fc.constantFrom('m', 'm.n'),
          price: fc.constantFrom('1', '0.25'),
          match: fc.constantFrom(null, { x: true }, { x: 'true' }, { x: 1, y: 2 }),
          per: fc.constantFrom('1', '1000'),
          shape: fc.constantFrom('FLAT', 'PER_UNIT'),
          unit: name,
        })
        .map(({ meter, price, ...options }) => aRate(meter, price, options)),
      { selector: ({ meter, match }) => meter + JSON.stringify(match) },
    ),
    policies: fc.record({
      commandCeiling: credits,
      latenessDays: fc.nat(9),
      holds: fc.record({ defaultSeconds: fc.nat(9), maxSeconds: fc.nat(9), graceSeconds: fc.nat(9) }),
      renewals: fc.constantFrom({ retryDays: [1, 2, 3], graceDays: 7 }, { retryDays: [], graceDays: 1 }),
      receipts: fc.record({ issuer: fc.constantFrom('R', 'A-1') }),
      refunds: fc.record({
        expiredLots: fc.constantFrom('NEW_LOT', 'FORFEIT'),
        graceDays: fc.nat(9),
        spentCredits: fc.constantFrom('REFUSE', 'DEBT'),
      }),
    }),
    ratesEffectiveAt: fc.option(fc.nat().map(instant)),
  });
}

/** Version `version` with this catalog, whose rates are in effect from `effectiveAt` on. */
export const aVersion = (version: number, yaml: string, effectiveAt: string): CatalogVersion => ({
  version,
  catalog: parsedCatalog(yaml),
  effectiveAt: instant(Date.parse(effectiveAt)),
});
