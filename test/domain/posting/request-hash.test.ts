import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/domain/canonical.ts';
import { formatDecimal } from '../../../src/domain/credits/decimal.ts';
import { formatCredits, parseCredits } from '../../../src/domain/credits/micros.ts';
import { requestHash } from '../../../src/domain/posting/request-hash.ts';
import { credits, decimal } from '../../support/builders-values.ts';

const hashed = (input: JsonObject): string => requestHash('debit', 'organization-1', input);
const ofAmount = (text: string): string => hashed({ amount: formatCredits(credits(text)) });

describe('requestHash', () => {
  it('is SHA-256 in hexadecimal, pinned', () => {
    expect(hashed({ amount: '1', reasonCode: 'USAGE' })).toBe(
      '5328390c03fd94f22dea662f83fc7a429705915e7dc1d5e875fb0dd17701d3d4',
    );
  });

  it.each([
    ['1', '1.0'],
    ['1', '1.000000'],
    ['0.5', '0.50'],
    ['7', '007'],
  ])('is one for amounts %s and %s', (a, b) => {
    expect(ofAmount(a)).toBe(ofAmount(b));
  });

  it('is one for quantities of one value', () => {
    const of = (text: string) => hashed({ usage: [{ meter: 'm', quantity: formatDecimal(decimal(text)) }] });
    expect(of('1000')).toBe(of('1000.000'));
    expect(of('1000')).not.toBe(of('1000.001'));
  });

  it('takes absent for null, at every level', () => {
    expect(hashed({ amount: '1', taskId: null })).toBe(hashed({ amount: '1' }));
    expect(hashed({ metadata: { a: 1, b: null } })).toBe(hashed({ metadata: { a: 1 } }));
  });

  it('does not depend on the order of keys', () => {
    expect(hashed({ a: { x: 1, y: 2 }, b: 3 })).toBe(hashed({ b: 3, a: { y: 2, x: 1 } }));
  });

  it('depends on the order of lists: lines are charged in theirs', () => {
    expect(hashed({ usage: ['a', 'b'] })).not.toBe(hashed({ usage: ['b', 'a'] }));
  });

  it.each<[string, string]>([
    ['another operation', requestHash('recordUsage', 'organization-1', { amount: '1' })],
    ['another organization', requestHash('debit', 'organization-2', { amount: '1' })],
    ['another amount', hashed({ amount: '1.000001' })],
    ['the same value in another field', hashed({ credits: '1' })],
    ['one more field', hashed({ amount: '1', taskId: '' })],
    ['an empty object where there was none', hashed({ amount: '1', metadata: {} })],
  ])('is another one for %s', (_name, other) => {
    expect(other).not.toBe(hashed({ amount: '1' }));
  });

  it('does not let the operation run into the organization', () => {
    expect(requestHash('debita', 'b', {})).not.toBe(requestHash('debit', 'ab', {}));
  });

  it('is equal for two amounts exactly where their values are', () => {
    const texts = fc.stringMatching(/^-?0?\d{1,4}(\.\d{1,6})?$/);
    fc.assert(
      fc.property(texts, texts, (a, b) => {
        expect(ofAmount(a) === ofAmount(b)).toBe(parseCredits(a) === parseCredits(b));
      }),
    );
  });
});
