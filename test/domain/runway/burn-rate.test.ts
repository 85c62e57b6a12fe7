/** How many credits a day are spent at present. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCredits, micros } from '../../../src/domain/credits/micros.ts';
import { creditsPerDay, type DayOfUsage, dayOf, windowStart } from '../../../src/domain/runway/burn-rate.ts';
import { formatInstant, instant } from '../../../src/domain/time/instant.ts';
import { at, credits } from '../../support/builders-values.ts';

const NOON = at('2026-03-10T12:00:00');
const DAY = 86_400_000;
/** So many days before today. */
const ago = (age: number, amount: string): DayOfUsage => ({
  startsAt: instant(dayOf(NOON) - age * DAY),
  credits: credits(amount),
});
const rate = (days: readonly DayOfUsage[], isOlder = false, now = NOON) =>
  formatCredits(creditsPerDay({ days, isOlder }, now));
const everyDay = (first: number, last: number, amount: string) =>
  Array.from({ length: last - first + 1 }, (_, index) => ago(first + index, amount));

describe('the window', () => {
  it('is 30 days in UTC, today included', () => {
    expect(formatInstant(windowStart(NOON))).toBe('2026-02-09T00:00:00.000Z');
    expect(formatInstant(windowStart(at('2026-03-10T00:00:00')))).toBe('2026-02-09T00:00:00.000Z');
  });
});

describe('credits per day', () => {
  it('are none where nothing was charged', () => {
    expect(rate([])).toBe('0');
    expect(rate([], true)).toBe('0');
    expect(rate([ago(3, '0')])).toBe('0');
  });

  it('on the first day of all are what was charged so far, however early it is', () => {
    expect(rate([ago(0, '30')])).toBe('30');
    expect(creditsPerDay({ days: [ago(0, '30')], isOlder: false }, at('2026-03-10T00:00:01'))).toBe(credits('30'));
  });

  it('are what is charged every day, today by the part of it that has passed', () => {
    expect(rate([...everyDay(1, 29, '24'), ago(0, '12')], true)).toBe('24');
    expect(rate([...everyDay(1, 4, '24'), ago(0, '12')])).toBe('24');
  });

  it('are not diluted by the days before the first usage of all, and by all days of an older wallet', () => {
    expect(rate([ago(1, '30'), ago(0, '15')])).toBe('30');
    const [young, older] = [[ago(1, '30')], [ago(1, '30')]].map((days, index) =>
      creditsPerDay({ days, isOlder: index === 1 }, at('2026-03-10T00:00:00')),
    );
    expect(young).toBe(credits('30'));
    expect(older).toBeLessThan(credits('4'));
    expect(older).toBeGreaterThan(credits('1'));
  });

  it('count a day half as much as one seven days newer', () => {
    const midnight = at('2026-03-10T00:00:00');
    const of = (age: number) => creditsPerDay({ days: [ago(age, '100')], isOlder: true }, midnight);
    for (const age of [1, 4, 7]) {
      expect(Number(of(age)) / Number(of(age + 7))).toBeCloseTo(2, 3);
      expect(Number(of(age)) / Number(of(age + 14))).toBeCloseTo(4, 3);
    }
    expect(of(1)).toBeGreaterThan(of(2));
  });

  it('are the weighted mean, exactly', () => {
    // Today counts half, its weight is 65,536, yesterday’s 59,358: (65,536 × 10 + 59,358 × 30) ÷ (32,768 + 59,358).
    expect(rate([ago(0, '10'), ago(1, '30')])).toBe('26.443132');
  });

  it('leave out what lies before the window or after today', () => {
    expect(rate([ago(30, '1000'), ago(-1, '1000'), ago(0, '5')])).toBe('5');
  });

  it('lie between the least and the most that a whole day has seen, for any usage', () => {
    const days = fc.array(fc.bigInt({ min: 1n, max: 10n ** 12n }), { minLength: 1, maxLength: 29 });
    fc.assert(
      fc.property(days, (amounts) => {
        const used = amounts.map((amount, index) => ({
          startsAt: instant(dayOf(NOON) - (index + 1) * DAY),
          credits: micros(amount),
        }));
        const perDay = creditsPerDay({ days: used, isOlder: false }, instant(dayOf(NOON)));
        const sorted = amounts.toSorted((a, b) => (a < b ? -1 : 1));
        expect(perDay).toBeGreaterThanOrEqual(sorted[0] ?? 0n);
        expect(perDay).toBeLessThanOrEqual(sorted.at(-1) ?? 0n);
      }),
    );
  });
});
