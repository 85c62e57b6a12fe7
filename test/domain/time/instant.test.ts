import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  dateOf,
  earliest,
  formatInstant,
  type Instant,
  instant,
  isInCalendar,
  later,
} from '../../../src/domain/time/instant.ts';

const instants = fc.integer({ min: -1_000_000_000_000, max: 4_000_000_000_000 }).map(instant);

describe('instants', () => {
  it('have millisecond precision: what is finer is cut off, towards the past', () => {
    expect(instant(1_000.999)).toBe(1_000);
    expect(instant(-0.5)).toBe(-1);
  });

  it('go to dates and back unchanged', () => {
    fc.assert(fc.property(instants, (moment) => dateOf(moment).getTime() === moment));
  });

  it('are written in UTC with milliseconds', () => {
    expect(formatInstant(instant(0))).toBe('1970-01-01T00:00:00.000Z');
    expect(formatInstant(instant(1_795_159_800_001))).toBe('2026-11-20T07:30:00.001Z');
  });

  it('have a later one', () => {
    expect(later(instant(1), instant(2))).toBe(2);
    expect(later(instant(2), instant(1))).toBe(2);
  });

  it.each([
    ['0000-12-31T23:59:59.999Z', false],
    ['0001-01-01T00:00:00.000Z', true],
    ['2026-03-10T12:00:00.000Z', true],
    ['9999-12-31T23:59:59.999Z', true],
    ['+010000-01-01T00:00:00.000Z', false],
  ])('can be written and stored in the years 1 to 9999: %s is %s', (text, expected) => {
    expect(isInCalendar(Date.parse(text))).toBe(expected);
  });

  it('have an earliest among those that are not null', () => {
    expect(earliest(null, instant(5), instant(3), null, instant(4))).toBe(3);
    expect(earliest(instant(0), null)).toBe(0);
    expect(earliest(null, null)).toBeNull();
    expect(earliest()).toBeNull();
  });

  it('have an earliest that is one of them and not after any', () => {
    fc.assert(
      fc.property(fc.array(fc.option(instants)), (candidates) => {
        const first = earliest(...candidates);
        const present = candidates.filter((candidate): candidate is Instant => candidate !== null);
        expect(first).toBe(present.length === 0 ? null : Math.min(...present));
      }),
    );
  });
});
