import { describe, expect, it } from 'vitest';
import { groupBy } from '../../src/domain/group-by.ts';

describe('groupBy', () => {
  it('keeps the order of keys and of the items under each', () => {
    const groups = groupBy(['bee', 'ant', 'bat', 'asp'], (word) => word[0]);
    expect([...groups]).toEqual([
      ['b', ['bee', 'bat']],
      ['a', ['ant', 'asp']],
    ]);
  });

  it('takes names of prototypes for ordinary keys', () => {
    expect(groupBy(['__proto__', 'constructor'], (key) => key).get('__proto__')).toEqual(['__proto__']);
    expect(groupBy([], () => 1).size).toBe(0);
  });
});
