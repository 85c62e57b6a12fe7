import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AmountOverflow,
  atLeastZero,
  formatCredits,
  isStorable,
  type Micros,
  micros,
  minus,
  negate,
  parseCredits,
  plus,
  smaller,
  sum,
  ZERO,
} from '../../../src/domain/credits/micros.ts';

const MAX = 2n ** 63n - 1n;
const anyMicros = fc.bigInt({ min: -MAX, max: MAX }).map(micros);

describe('parseCredits', () => {
  it.each([
    ['0', 0n],
    ['1', 1_000_000n],
    ['450', 450_000_000n],
    ['0.125', 125_000n],
    ['-3', -3_000_000n],
    ['-0.000001', -1n],
    ['1.0', 1_000_000n],
    ['1.000000', 1_000_000n],
    ['007', 7_000_000n],
    ['-0', 0n],
    ['9223372036854.775807', MAX],
    ['-9223372036854.775807', -MAX],
  ])('reads %s exactly', (text, expected) => {
    expect(parseCredits(text)).toBe(expected);
  });

  it.each([
    '1e400',
    '1e3',
    'NaN',
    'Infinity',
    '-Infinity',
    '0x10',
    '0b1',
    ' 5 ',
    ' 5',
    '5 ',
    '5\n',
    '1,5',
    '1.',
    '.5',
    '+5',
    '--5',
    '- 5',
    '',
    '-',
    '.',
    '1.2.3',
    '0.0000001',
    '1.1234567',
    '1_000',
    '1000000000000000000000000000000',
    '10000000000000',
    '٣',
    '５',
    '5n',
    'null',
    '9223372036854.775808',
    '-9223372036854.775808',
    '9999999999999',
  ])('refuses %j', (text) => {
    expect(parseCredits(text)).toBeUndefined();
  });

  it('reads back what formatCredits writes, for every amount', () => {
    fc.assert(fc.property(anyMicros, (amount) => parseCredits(formatCredits(amount)) === amount));
  });

  it('answers undefined or a storable amount for any text, and throws for none', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[-+ ]?\d{0,15}[.,]?\d{0,8}$/)), (text) => {
        const amount = parseCredits(text);
        expect(amount === undefined || isStorable(amount)).toBe(true);
      }),
    );
  });
});

describe('formatCredits', () => {
  it.each([
    [0n, '0'],
    [1n, '0.000001'],
    [-1n, '-0.000001'],
    [1_500_000n, '1.5'],
    [-1_500_000n, '-1.5'],
    [450_000_000n, '450'],
    [1_000_010n, '1.00001'],
    [MAX, '9223372036854.775807'],
    [-MAX, '-9223372036854.775807'],
  ])('writes %s micros as %s', (amount, text) => {
    expect(formatCredits(micros(amount))).toBe(text);
  });

  it('writes one text per amount: no trailing zeros, no leading zeros, no negative zero', () => {
    fc.assert(
      fc.property(anyMicros, (amount) => {
        expect(formatCredits(amount)).toMatch(/^(0|-?[1-9]\d*|-?(0|[1-9]\d*)\.\d{0,5}[1-9])$/);
      }),
    );
  });
});

describe('arithmetic', () => {
  const near = (amount: bigint): Micros => micros(amount);

  it.each([
    ['plus', () => plus(near(MAX), near(1n))],
    ['plus of negatives', () => plus(near(-MAX), near(-1n))],
    ['minus', () => minus(near(-MAX), near(1n))],
    ['sum', () => sum([near(MAX), near(MAX)])],
    ['micros', () => micros(MAX + 1n)],
    ['micros of the lowest BIGINT, which has no positive counterpart', () => micros(-MAX - 1n)],
  ])('throws rather than leave 64 bits: %s', (_name, overflow) => {
    expect(overflow).toThrow(AmountOverflow);
  });

  it('reaches the limits exactly', () => {
    expect(plus(near(MAX - 1n), near(1n))).toBe(MAX);
    expect(minus(near(-MAX + 1n), near(1n))).toBe(-MAX);
    expect(negate(near(MAX))).toBe(-MAX);
  });

  it('lets a sum pass through values beyond 64 bits if it ends within them', () => {
    expect(sum([near(MAX), near(MAX), near(-MAX)])).toBe(MAX);
  });

  it('sums nothing to zero', () => {
    expect(sum([])).toBe(ZERO);
  });

  it('agrees with integers wherever it does not throw', () => {
    fc.assert(
      fc.property(anyMicros, anyMicros, (a, b) => {
        for (const [operation, expected] of [
          [plus, a + b],
          [minus, a - b],
        ] as const) {
          if (expected <= MAX && expected >= -MAX) expect(operation(a, b)).toBe(expected);
          else expect(() => operation(a, b)).toThrow(AmountOverflow);
        }
      }),
    );
  });

  it('knows the smaller of two and floors at zero', () => {
    expect(smaller(micros(-2n), micros(1n))).toBe(-2n);
    expect(smaller(micros(1n), micros(-2n))).toBe(-2n);
    expect(atLeastZero(micros(-1n))).toBe(0n);
    expect(atLeastZero(micros(1n))).toBe(1n);
  });
});
