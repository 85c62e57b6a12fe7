import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  compareDecimals,
  type Decimal,
  decimalFromMicros,
  divideRounded,
  formatDecimal,
  isZero,
  largerDecimal,
  multiply,
  ONE,
  parseDecimal,
  parseDecimalSum,
  parseRateDecimal,
  quotient,
  type RoundingMode,
  smallerDecimal,
  startedBlocks,
  subtract,
  toMicros,
  ZERO_DECIMAL,
} from '../../../src/domain/credits/decimal.ts';
import { micros } from '../../../src/domain/credits/micros.ts';
import { credits, decimal } from '../../support/builders-values.ts';

const MAX = 2n ** 63n - 1n;

/** Decimals as they come in: up to 24 integer and 18 fraction digits. */
const decimalText = fc
  .tuple(
    fc.boolean(),
    fc.bigInt({ min: 0n, max: 10n ** 24n - 1n }),
    fc.integer({ min: 0, max: 18 }).chain((digits) => fc.stringMatching(new RegExp(`^\\d{${digits}}$`))),
  )
  .map(([negative, whole, fraction]) => `${negative ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`);

/** The same number with 18 fraction digits, as an integer: what equality of value means. */
const scaled = ({ coefficient, scale }: Decimal, to = 60): bigint => coefficient * 10n ** BigInt(to - scale);

describe('parseRateDecimal', () => {
  it('reads up to a hundred fraction digits exactly', () => {
    expect(parseRateDecimal(`0.${'0'.repeat(99)}5`)).toEqual({ coefficient: 5n, scale: 100 });
    expect(parseRateDecimal(`0.${'0'.repeat(100)}5`)).toBeUndefined();
    expect(parseRateDecimal('1e-7')).toBeUndefined();
  });
});

describe('parseDecimal', () => {
  it.each([
    ['0', 0n, 0],
    ['12', 12n, 0],
    ['0.0005', 5n, 4],
    ['-1.50', -15n, 1],
    ['100', 100n, 0],
    ['0.1234567890123456', 1_234_567_890_123_456n, 16],
    ['0.123456789012345678', 123_456_789_012_345_678n, 18],
    ['999999999999999999999999', 10n ** 24n - 1n, 0],
  ])('reads %s exactly', (text, coefficient, scale) => {
    expect(parseDecimal(text)).toEqual({ coefficient, scale });
  });

  it.each([
    '1e400',
    '1e-7',
    'NaN',
    'Infinity',
    '0x10',
    ' 5 ',
    '1,5',
    '.5',
    '5.',
    '+1',
    '',
    '-',
    '1.1234567890123456789',
    '1000000000000000000000000',
    '5\n',
    '１',
  ])('refuses %j', (text) => {
    expect(parseDecimal(text)).toBeUndefined();
  });

  it.each([
    ['1', '1.0'],
    ['1', '1.000000000000000000'],
    ['0', '-0'],
    ['0', '0.000'],
    ['0.5', '0.50'],
    ['7', '007'],
  ])('gives %s and %s one representation', (a, b) => {
    expect(parseDecimal(a)).toEqual(parseDecimal(b));
  });

  it('is undone by formatDecimal up to the spelling: a second round changes nothing', () => {
    fc.assert(
      fc.property(decimalText, (text) => {
        const value = decimal(text);
        const written = formatDecimal(value);
        expect(parseDecimal(written)).toEqual(value);
        expect(written).toMatch(/^(-?(0|[1-9]\d*)(\.\d*[1-9])?)$/);
      }),
    );
  });
});

describe('parseDecimalSum', () => {
  it('reads what parseDecimal reads, alike', () => {
    fc.assert(
      fc.property(decimalText, (text) => {
        expect(parseDecimalSum(text)).toEqual(parseDecimal(text));
      }),
    );
  });

  it('reads any sum back that formatDecimal wrote, however long', () => {
    const values = fc.array(decimalText, { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(values, (texts) => {
        const total = texts.map(decimal).reduce((sum, value) => add(multiply(sum, decimal('1000')), value));
        expect(parseDecimalSum(formatDecimal(total))).toEqual(total);
      }),
    );
    expect(parseDecimalSum(`1${'0'.repeat(400)}.${'0'.repeat(40)}10`)).toEqual({
      coefficient: 10n ** 441n + 1n,
      scale: 41,
    });
  });

  it.each(['1e400', 'NaN', 'Infinity', ' 5 ', '.5', '5.', '', '-', '5\n'])('refuses %j', (text) => {
    expect(parseDecimalSum(text)).toBeUndefined();
  });
});

describe('formatDecimal', () => {
  it.each([
    [{ coefficient: 5n, scale: 4 }, '0.0005'],
    [{ coefficient: -5n, scale: 1 }, '-0.5'],
    [{ coefficient: 1_200n, scale: 2 }, '12'],
    [{ coefficient: 0n, scale: 6 }, '0'],
    [{ coefficient: 1_250n, scale: 3 }, '1.25'],
    [{ coefficient: 100n, scale: 0 }, '100'],
  ])('writes %o in its shortest exact form', (value, text) => {
    expect(formatDecimal(value)).toBe(text);
  });
});

describe('multiply', () => {
  it('is exact', () => {
    fc.assert(
      fc.property(decimalText, decimalText, (a, b) => {
        const [left, right] = [decimal(a), decimal(b)];
        expect(scaled(multiply(left, right), 60)).toBe(scaled(left, 30) * scaled(right, 30));
      }),
    );
  });

  it('answers in lowest terms, so that equal numbers have equal representations', () => {
    expect(multiply(decimal('0.5'), decimal('2'))).toEqual(ONE);
    expect(multiply(decimal('0.25'), decimal('0.4'))).toEqual(decimal('0.1'));
  });
});

describe('sums and comparisons', () => {
  const pairs = [decimalText, decimalText] as const;

  it.each([
    ['1', '2', '3'],
    ['0.1', '0.2', '0.3'],
    ['0.5', '0.5', '1'],
    ['-1.25', '1.25', '0'],
    ['999999999999999999999999', '0.000000000000000001', '999999999999999999999999.000000000000000001'],
  ])('%s + %s = %s', (a, b, total) => {
    expect(add(decimal(a), decimal(b))).toEqual(decimal(total));
    expect(subtract(decimal(total), decimal(b))).toEqual(decimal(a));
  });

  it('are exact and in lowest terms', () => {
    fc.assert(
      fc.property(...pairs, (a, b) => {
        const [left, right] = [decimal(a), decimal(b)];
        expect(scaled(add(left, right))).toBe(scaled(left) + scaled(right));
        expect(scaled(subtract(left, right))).toBe(scaled(left) - scaled(right));
        expect(subtract(add(left, right), right)).toEqual(left);
        expect(isZero(subtract(left, left))).toBe(true);
        expect(subtract(left, left)).toEqual(ZERO_DECIMAL);
      }),
    );
  });

  it('order decimals by value', () => {
    fc.assert(
      fc.property(...pairs, (a, b) => {
        const [left, right] = [decimal(a), decimal(b)];
        const [x, y] = [scaled(left), scaled(right)];
        expect(compareDecimals(left, right)).toBe(x < y ? -1 : Number(x > y));
        const sorted = [smallerDecimal(left, right), largerDecimal(left, right)].map((value) => scaled(value));
        expect(sorted).toEqual(x < y ? [x, y] : [y, x]);
      }),
    );
  });

  it('go beyond the digits that input may have', () => {
    const most = decimal('999999999999999999999999');
    expect(formatDecimal(add(most, most))).toBe('1999999999999999999999998');
  });

  it('take amounts of credits as they are', () => {
    expect(
      ['0', '1', '0.000001', '-2.5', '1200'].map((text) => formatDecimal(decimalFromMicros(credits(text)))),
    ).toEqual(['0', '1', '0.000001', '-2.5', '1200']);
    expect(decimalFromMicros(credits('0.5'))).toEqual(decimal('0.5'));
  });
});

describe('startedBlocks', () => {
  it.each([
    ['0', '10', '0'],
    ['0.000000000000000001', '10', '1'],
    ['10', '10', '1'],
    ['10.1', '10', '2'],
    ['20', '10', '2'],
    ['1', '0.3', '4'],
    ['0.9', '0.3', '3'],
    ['1000', '999999999999999999999999', '1'],
  ])('of %s in blocks of %s are %s', (value, size, blocks) => {
    expect(startedBlocks(decimal(value), decimal(size))).toEqual(decimal(blocks));
  });
});

describe('divideRounded', () => {
  it.each([
    [1n, 2n, 1n],
    [-1n, 2n, -1n],
    [1n, 3n, 0n],
    [2n, 3n, 1n],
    [-2n, 3n, -1n],
    [5n, 2n, 3n],
    [-5n, 2n, -3n],
    [3n, 2n, 2n],
    [49n, 100n, 0n],
    [50n, 100n, 1n],
    [0n, 7n, 0n],
  ])('%s ÷ %s is %s, half away from zero', (numerator, denominator, expected) => {
    expect(divideRounded(numerator, denominator)).toBe(expected);
  });

  it('is never further than a half from the exact quotient, and away from zero where it is exactly that', () => {
    const numerators = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n });
    fc.assert(
      fc.property(numerators, fc.bigInt({ min: 1n, max: 10n ** 15n }), (numerator, denominator) => {
        const twiceError = 2n * (divideRounded(numerator, denominator) * denominator - numerator);
        const magnitude = twiceError < 0n ? -twiceError : twiceError;
        expect(magnitude).toBeLessThanOrEqual(denominator);
        if (magnitude === denominator) expect(twiceError > 0n).toBe(numerator > 0n);
      }),
    );
  });

  it.each<[RoundingMode, readonly bigint[]]>([
    ['HALF_UP', [-2n, -2n, -1n, -1n, 0n, 0n, 0n, 1n, 1n, 2n, 2n]],
    ['UP', [-2n, -2n, -1n, -1n, -1n, 0n, 1n, 1n, 1n, 2n, 2n]],
    ['DOWN', [-2n, -1n, -1n, 0n, 0n, 0n, 0n, 0n, 1n, 1n, 2n]],
  ])('%s rounds −8/4, −6/4, −4/4, −3/4, −1/4, 0, 1/4, 3/4, 4/4, 6/4, 8/4', (mode, expected) => {
    const numerators = [-8n, -6n, -4n, -3n, -1n, 0n, 1n, 3n, 4n, 6n, 8n];
    expect(numerators.map((numerator) => divideRounded(numerator, 4n, mode))).toEqual(expected);
  });

  it('is symmetric around zero', () => {
    fc.assert(
      fc.property(fc.bigInt(), fc.bigInt({ min: 1n, max: 10n ** 12n }), (numerator, denominator) => {
        expect(divideRounded(-numerator, denominator)).toBe(-divideRounded(numerator, denominator));
      }),
    );
  });
});

describe('toMicros', () => {
  it.each([
    ['1', '1', 1_000_000n],
    ['0.0000005', '1', 1n],
    ['0.0000004999', '1', 0n],
    ['-0.0000005', '1', -1n],
    ['0.5', '1000', 500n],
    ['1', '3', 333_333n],
    ['2', '3', 666_667n],
    ['0.0000015', '1', 2n],
    ['0.0000025', '1', 3n],
    ['1', '0.5', 2_000_000n],
    ['0', '7', 0n],
  ])('%s credits per %s are %s micros', (credits, per, expected) => {
    expect(toMicros(decimal(credits), decimal(per))).toBe(expected);
  });

  it('answers undefined where 64 bits do not hold the result, although the intermediate product is larger by far', () => {
    expect(toMicros(decimal('9223372036854.775807'))).toBe(MAX);
    expect(toMicros(decimal('9223372036854.775808'))).toBeUndefined();
    expect(toMicros(decimal('-9223372036854.775807'))).toBe(-MAX);
    expect(toMicros(decimal('-9223372036854.775808'))).toBeUndefined();
    // Rounds up to one more than fits.
    expect(toMicros(decimal('9223372036854.7758075'))).toBeUndefined();
    expect(
      toMicros(multiply(decimal('999999999999999999999999'), decimal('999999999999999999999999'))),
    ).toBeUndefined();
    const huge = decimal('999999999999999999999999');
    expect(toMicros(multiply(huge, decimal('2')), huge)).toBe(2_000_000n);
  });

  it.each<[string, string, string, RoundingMode, string]>([
    ['1', '3', '0.01', 'HALF_UP', '0.33'],
    ['1', '3', '0.01', 'UP', '0.34'],
    ['2', '3', '0.01', 'DOWN', '0.66'],
    ['1.25', '1', '0.5', 'HALF_UP', '1.5'],
    ['1.24', '1', '0.5', 'HALF_UP', '1'],
    ['1', '1', '0.3', 'UP', '1.2'],
    ['0.9', '1', '0.3', 'UP', '0.9'],
    ['0.000000000000000001', '1', '5', 'UP', '5'],
    ['4.999999', '1', '5', 'DOWN', '0'],
    ['0', '1', '5', 'UP', '0'],
  ])('%s credits per %s, to multiples of %s %s, are %s', (price, per, increment, mode, expected) => {
    const rounding = { increment: credits(increment), mode };
    expect(toMicros(decimal(price), decimal(per), rounding)).toBe(credits(expected));
  });

  it('answers undefined where only rounding leaves 64 bits', () => {
    const rounding = { increment: micros(2n ** 62n), mode: 'UP' } as const;
    expect(toMicros(ONE, ONE, rounding)).toBe(2n ** 62n);
    expect(toMicros(decimal('9223372036854'), ONE, rounding)).toBeUndefined();
  });

  it('rounds once: it never differs from the exact value by more than half a micro', () => {
    fc.assert(
      fc.property(decimalText, fc.bigInt({ min: 1n, max: 10n ** 12n }), (text, per) => {
        const value = decimal(text);
        const result = toMicros(value, { coefficient: per, scale: 0 });
        if (result === undefined) return;
        const exact = scaled(value, 24);
        const error = 2n * (result * per * 10n ** 18n - exact);
        expect(error < 0n ? -error : error).toBeLessThanOrEqual(per * 10n ** 18n);
      }),
    );
  });
});

describe('quotient', () => {
  it.each([
    ['45', '5500', 6, '0.008182'],
    ['10', '1000', 6, '0.01'],
    ['1', '3', 2, '0.33'],
    ['2', '3', 2, '0.67'],
    ['1', '8', 2, '0.13'],
    ['-1', '8', 2, '-0.13'],
    ['0.05', '0.1', 0, '1'],
  ])('%s ÷ %s to %i digits is %s', (a, b, digits, expected) => {
    expect(formatDecimal(quotient(decimal(a), decimal(b), digits))).toBe(expected);
  });
});
