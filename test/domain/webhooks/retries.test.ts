import { describe, expect, it } from 'vitest';
import { MAX_ATTEMPTS, retryDelay } from '../../../src/domain/webhooks/retries.ts';

const HOUR = 3_600_000;
const delays = (random: number) =>
  Array.from({ length: MAX_ATTEMPTS }, (_, index) =>
    retryDelay({ attempts: index + 1, retryAfterMilliseconds: null, random }),
  );

describe('a delivery that failed', () => {
  it('is tried again after 5 s, then at growing distances for about three days, and then given up', () => {
    const waits = delays(0);
    expect(waits[0]).toBe(5_000);
    expect(waits.at(-1)).toBeNull();
    const given = waits.filter((wait) => wait !== null);
    expect(given).toHaveLength(MAX_ATTEMPTS - 1);
    expect(given).toEqual(given.toSorted((a, b) => a - b));
    const days = given.reduce((sum, wait) => sum + wait) / HOUR / 24;
    expect(days).toBeGreaterThan(3);
    expect(days).toBeLessThan(3.5);
  });

  it('waits at most a tenth longer, by chance', () => {
    for (const [index, shortest] of delays(0).entries()) {
      expect(delays(1)[index]).toBe(shortest === null ? null : Math.round(shortest * 1.1));
    }
  });

  it.each([
    ['less than its distance', 1_000, 5_000],
    ['more', HOUR, HOUR],
    ['more than a day', 1_000 * HOUR, 24 * HOUR],
    ['infinitely much', Number.POSITIVE_INFINITY, 24 * HOUR],
  ])('whose receiver asks for %s', (_what, retryAfterMilliseconds, expected) => {
    expect(retryDelay({ attempts: 1, retryAfterMilliseconds, random: 0 })).toBe(expected);
  });

  it('is given up after its last attempt, whatever its receiver asks for', () => {
    expect(retryDelay({ attempts: MAX_ATTEMPTS, retryAfterMilliseconds: HOUR, random: 0 })).toBeNull();
  });
});
