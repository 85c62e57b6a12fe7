/**
 * Two versions of a rate card, and what usage costs by them, counted half unit by half unit. Quantities are whole numbers
 * of half units, prices integers of 10⁻¹² credit, so that every sum is exact.
 */
import type { Rate, RateCard, RoundingMode } from '../../../src/domain/pricing/rate-card.ts';
import { rateCard } from '../../../src/domain/pricing/rate-card.ts';
import { instant } from '../../../src/domain/time/instant.ts';
import { aRate, aTieredRate } from '../../support/builders-values.ts';

interface Tariff {
  readonly meter: string;
  /** The `tier` dimension that it asks for; any where it is absent. */
  readonly tier?: string;
  readonly preview?: boolean;
  readonly shape: 'FLAT' | 'PER_UNIT' | 'PACKAGE' | 'GRADUATED' | 'VOLUME';
  /** Credits for `per` units; of tiers, the last unit of each and its price. */
  readonly price: string | readonly (readonly [upTo: number | null, price: string])[];
  readonly per?: number;
  readonly freeUnits?: number;
  /** In micros, as `increment`. */
  readonly minimum?: number;
  readonly increment?: number;
  readonly mode?: RoundingMode;
}

const COMMON: readonly Tariff[] = [
  { meter: 'read', shape: 'PER_UNIT', price: '0' },
  { meter: 'call', shape: 'FLAT', price: '0.000005' },
  { meter: 'call', preview: true, shape: 'FLAT', price: '0.000001' },
  { meter: 'pack', shape: 'PACKAGE', price: '0.00002', per: 10 },
  {
    meter: 'image',
    shape: 'VOLUME',
    price: [
      [5, '0.000007'],
      [20, '0.000004'],
      [null, '0.0000015'],
    ],
  },
  {
    meter: 'scan',
    shape: 'PER_UNIT',
    price: '0.000003',
    freeUnits: 3,
    minimum: 8,
    increment: 5,
    mode: 'UP',
  },
];

const FIRST: readonly Tariff[] = [
  ...COMMON,
  { meter: 'token', shape: 'PER_UNIT', price: '0.0000015' },
  { meter: 'token', tier: 'pro', shape: 'PER_UNIT', price: '0.000004', mode: 'DOWN' },
  {
    meter: 'page',
    shape: 'GRADUATED',
    price: [
      [6, '0.000003'],
      [null, '0.000001'],
    ],
    freeUnits: 4,
  },
];

const SECOND: readonly Tariff[] = [
  ...COMMON,
  { meter: 'token', shape: 'PER_UNIT', price: '0.000007', per: 3 },
  {
    meter: 'page',
    shape: 'GRADUATED',
    price: [
      [2, '0.000009'],
      [10, '0.000002'],
      [null, '0'],
    ],
    freeUnits: 4,
  },
];

export const METERS = ['read', 'call', 'pack', 'image', 'scan', 'token', 'page'];

const TARIFFS = [FIRST, SECOND];

/** The cards as the catalog has them. */
export const rateCards = (secondFrom: number): RateCard[] =>
  TARIFFS.map((tariffs, index) => rateCard(index + 1, instant(index === 0 ? 0 : secondFrom), tariffs.map(rateOf)));

function rateOf({ meter, tier, preview = false, shape, price, per = 1, ...rest }: Tariff): Rate {
  const { freeUnits = 0, minimum = 0, increment = 1, mode = 'HALF_UP' } = rest;
  const options = {
    match: tier === undefined ? null : { tier },
    preview,
    per: String(per),
    freeUnits: String(freeUnits),
    minimum: creditsOf(minimum),
    roundTo: creditsOf(increment),
    rounding: mode,
  };
  if (typeof price === 'string') return aRate(meter, price, { ...options, shape });
  const tiers = price.map(([upTo, tierPrice]) => [upTo === null ? null : String(upTo), tierPrice] as const);
  return aTieredRate(meter, shape === 'VOLUME' ? 'VOLUME' : 'GRADUATED', tiers, options);
}

const creditsOf = (micros: number): string => `0.${String(micros).padStart(6, '0')}`;

export interface UsedLine {
  readonly meter: string;
  readonly halves: number;
  readonly tier: string | null;
  readonly preview: boolean;
}

/** Names a rate in every version of the card: what it has counted stays counted. */
export const rateName = ({ meter, tier, preview = false }: Tariff): string => `${meter} ${tier ?? ''} ${preview}`;

export const isCounted = ({ price, freeUnits = 0 }: Tariff): boolean => typeof price !== 'string' || freeUnits > 0;

/** The rate for a line: of those that fit, one that asks for its tier before one that does not. */
export function tariffFor(version: number, { meter, tier, preview }: UsedLine): Tariff | undefined {
  const fitting = (TARIFFS[version - 1] ?? []).filter(
    (tariff) => tariff.meter === meter && (tariff.preview ?? false) === preview,
  );
  return (
    fitting.find((tariff) => tariff.tier !== undefined && tariff.tier === tier) ??
    fitting.find((tariff) => tariff.tier === undefined)
  );
}

/** In micros, for half units that come after others of the billing period. */
export function priceOf(tariff: Tariff, halves: number, before: number): bigint {
  const { per = 1, freeUnits = 0, minimum = 0, increment = 1, mode = 'HALF_UP' } = tariff;
  const positions = Array.from({ length: halves }, (_, index) => before + index + 1 - 2 * freeUnits);
  const charged = positions.filter((position) => position > 0);
  if (charged.length === 0) return 0n;
  // Of 2 × per: prices are of `per` units, and counted in halves.
  const divisor = 2n * BigInt(per);
  let sum = sumOf(tariff, charged);
  const least = BigInt(minimum) * PER_MICRO * divisor;
  if (sum < least) sum = least;
  const step = BigInt(increment) * PER_MICRO * divisor;
  const whole = sum / step;
  const rest = sum % step;
  const raised = mode === 'UP' ? rest > 0n : mode === 'HALF_UP' && 2n * rest >= step;
  return (raised ? whole + 1n : whole) * BigInt(increment);
}

const PER_MICRO = 1_000_000n;

function sumOf({ shape, price, per = 1 }: Tariff, positions: readonly number[]): bigint {
  if (typeof price === 'string') {
    const each = picoOf(price);
    if (shape === 'FLAT') return each * 2n * BigInt(per);
    if (shape === 'PACKAGE') return each * 2n * BigInt(per) * BigInt(Math.ceil(positions.length / 2 / per));
    return each * BigInt(positions.length);
  }
  const priceAt = (position: number): bigint => {
    const tier = price.find(([upTo]) => upTo === null || position <= 2 * upTo);
    return picoOf(tier?.[1] ?? '0');
  };
  const last = positions.at(-1) ?? 0;
  return positions.reduce((total, position) => total + priceAt(shape === 'VOLUME' ? last : position), 0n);
}

/** A price in 10⁻¹² credit. */
function picoOf(price: string): bigint {
  const [whole = '0', fraction = ''] = price.split('.');
  return BigInt(whole + fraction.padEnd(12, '0'));
}
