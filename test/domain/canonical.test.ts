import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalJson,
  canonicalPairs,
  type JsonObject,
  type JsonValue,
  netstring,
} from '../../src/domain/canonical.ts';

const jsonObject = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 5 }).map((value) => value as JsonObject);

/** The same object with its keys in another order, at every level. */
function reversed(value: JsonValue): JsonValue {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(reversed);
  const entries = Object.entries(value).map(([key, member]): [string, JsonValue] => [key, reversed(member)]);
  return Object.fromEntries(entries.reverse());
}

describe('netstring', () => {
  it('puts the length in UTF-8 bytes before the text', () => {
    expect(netstring('hello')).toBe('5:hello');
    expect(netstring('')).toBe('0:');
    expect(netstring('ä€😀')).toBe('9:ä€😀');
  });

  it('tells no value from an empty one and from a dash', () => {
    expect(netstring(null)).toBe('-');
    expect(netstring('-')).toBe('1:-');
  });

  it('joins lists of fields without ambiguity: different lists never give the same text', () => {
    const fields = fc.array(fc.option(fc.string({ unit: fc.constantFrom('1', ':', '-', 'a', 'ä') })), { maxLength: 5 });
    fc.assert(
      fc.property(fields, fields, (a, b) => {
        const isSame = a.length === b.length && a.every((field, index) => field === b[index]);
        expect(a.map(netstring).join('') === b.map(netstring).join('')).toBe(isSame);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    [
      ['1:a', ''],
      ['1', ':a'],
    ],
    [
      ['ab', 'c'],
      ['a', 'bc'],
    ],
    [[null], ['-']],
    [
      ['', null],
      [null, ''],
    ],
    [['0:'], ['', '']],
  ])('keeps %j and %j apart', (a, b) => {
    expect(a.map(netstring).join('')).not.toBe(b.map(netstring).join(''));
  });
});

describe('canonicalJson', () => {
  it.each<[JsonValue, string]>([
    [null, 'null'],
    [true, 'true'],
    [1, '1'],
    [1.0, '1'],
    [-0, '0'],
    [1e21, '1e+21'],
    ['ä"\n', '"ä\\"\\n"'],
    [[], '[]'],
    [[1, null, 'a'], '[1,null,"a"]'],
    [{}, '{}'],
    [{ b: 1, a: { d: 2, c: [] } }, '{"a":{"c":[],"d":2},"b":1}'],
    [{ a: null }, '{}'],
    [{ 10: 1, 9: 2 }, '{"10":1,"9":2}'],
  ])('writes %j as %s', (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  it('does not depend on the order of keys', () => {
    fc.assert(fc.property(jsonObject, (value) => canonicalJson(reversed(value)) === canonicalJson(value)));
  });

  it('is JSON that says the same, nulls in objects aside', () => {
    const withoutNulls = (value: JsonValue): JsonValue => {
      if (value === null || typeof value !== 'object') return value;
      if (Array.isArray(value)) return value.map(withoutNulls);
      const kept = Object.entries(value).filter(([, member]) => member !== null);
      return Object.fromEntries(kept.map(([key, member]) => [key, withoutNulls(member)]));
    };
    fc.assert(
      fc.property(jsonObject, (value) => {
        // Through JSON once, so that −0 is 0 on both sides.
        const expected: unknown = JSON.parse(JSON.stringify(withoutNulls(value)));
        expect(JSON.parse(canonicalJson(value))).toEqual(expected);
      }),
    );
  });

  it('takes the keys of prototypes for the data that they are', () => {
    const value = JSON.parse('{"__proto__":{"admin":true},"constructor":1}') as JsonObject;
    expect(canonicalJson(value)).toBe('{"__proto__":{"admin":true},"constructor":1}');
    expect(canonicalPairs(value)).not.toBe(canonicalPairs({ constructor: 1 }));
  });

  it('keeps 1 and "1" apart: a quoted digit is text', () => {
    expect(canonicalJson({ a: 1 })).not.toBe(canonicalJson({ a: '1' }));
  });
});

describe('canonicalPairs', () => {
  it('writes the number of pairs and sorted, length-prefixed keys and values', () => {
    expect(canonicalPairs({ b: 'x', a: 1 })).toBe('2[1:a1:11:b3:"x"]');
    expect(canonicalPairs({})).toBe('0[]');
    expect(canonicalPairs(null)).toBe('-');
  });

  it('does not depend on the order of keys', () => {
    fc.assert(
      fc.property(
        jsonObject,
        (metadata) => canonicalPairs(reversed(metadata) as JsonObject) === canonicalPairs(metadata),
      ),
    );
  });

  it('gives different metadata different texts', () => {
    const metadata = fc.dictionary(
      fc.string({ unit: fc.constantFrom('a', '1', ':', '"'), maxLength: 3 }),
      fc.string(),
      {
        maxKeys: 3,
      },
    );
    fc.assert(
      fc.property(metadata, metadata, (a, b) => {
        const keys = Object.keys(a);
        const isSame =
          keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
        expect(canonicalPairs(a) === canonicalPairs(b)).toBe(isSame);
      }),
      { numRuns: 2_000 },
    );
  });
});
