/** Allowances of an organization whose time zone changes again and again: each window grants once, watched or asleep. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PlanOffer } from '../../../src/domain/subscriptions/plan-offer.ts';
import { type Interval, refreshPeriod } from '../../../src/domain/time/calendar.ts';
import { decideZoneChange } from '../../../src/domain/time/change-zone.ts';
import { earliest, type Instant, instant } from '../../../src/domain/time/instant.ts';
import { expectSound } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import { aSettlement, aSubscription } from '../../support/builders-commands.ts';
import { credits, withZoneChange } from '../../support/builders-values.ts';

const HOUR = 3_600_000;
const ZONES = ['UTC', 'Pacific/Apia', 'Pacific/Pago_Pago', 'America/Los_Angeles', 'Asia/Kolkata', 'Europe/Berlin'];

const PLAN: PlanOffer = {
  name: 'Free',
  price: { amountMinor: 0n, currency: 'USD' },
  interval: 'MONTH',
  trialDays: 0,
  allowances: [
    { bucketKey: 'daily_free', interval: 'DAY', credits: credits('5'), rolloverLimit: null },
    { bucketKey: 'monthly_plan', interval: 'MONTH', credits: credits('100'), rolloverLimit: null },
  ],
};

interface Step {
  readonly hours: number;
  /** The zone that is asked for then. */
  readonly zone: string;
}

const steps = (hours: number, count: number): fc.Arbitrary<Step[]> =>
  fc.array(fc.record({ hours: fc.integer({ min: 1, max: hours }), zone: fc.constantFrom(...ZONES) }), {
    minLength: count / 2,
    maxLength: count,
  });

function subscribed(start: Instant, zone: string, plan = PLAN): Books {
  const books = aWallet()
    .at(start)
    .in(zone)
    .subscribed(null)
    .under(policies({ plansOnSale: { free: plan } }))
    .books();
  books.post(aSubscription('free'));
  return books;
}

/** As an organization's settings are changed: what is refused changes nothing. */
function ask(books: Books, zone: string, changedAt: Instant | null): Instant | null {
  const { subscription } = books;
  if (!subscription) throw new Error('there is no subscription');
  const ends = [subscription.period.end, ...books.allowances.map(({ nextRefreshAt }) => nextRefreshAt)];
  const { anchorDay } = subscription;
  const decision = decideZoneChange({ zone: books.zone, changedAt, now: books.now, anchorDay, ends }, zone);
  if (!('kind' in decision) || decision.kind === 'unchanged') return changedAt;
  books.zone = withZoneChange(books.zone, decision.change);
  return books.now;
}

/** Goes on to an instant; what comes due on the way is posted on time where somebody watches. */
function goTo(books: Books, end: Instant, isWatched: boolean): void {
  for (;;) {
    const due = earliest(...books.allowances.map(({ nextRefreshAt }) => nextRefreshAt));
    if (!isWatched || due === null || due > end) break;
    books.moveTo(due).post(aSettlement());
  }
  books.moveTo(end);
}

function walk(books: Books, path: readonly Step[], isWatched: boolean): void {
  let changedAt: Instant | null = null;
  for (const { hours, zone } of path) {
    goTo(books, instant(books.now + hours * HOUR), isWatched);
    changedAt = ask(books, zone, changedAt);
  }
  books.post(aSettlement());
}

function grantsOf(books: Books, interval: Interval) {
  const allowance = books.allowances.find((found) => found.interval === interval);
  return [...books.lots.values()]
    .filter(({ bucketId }) => bucketId === allowance?.bucketId)
    .toSorted((a, b) => a.effectiveAt - b.effectiveAt);
}

const start = fc
  .integer({ min: Date.parse('2025-01-01T00:00:00Z'), max: Date.parse('2030-01-01T00:00:00Z') })
  .map(instant);

describe('an allowance in a zone that changes', () => {
  it.each<Interval>(['DAY', 'MONTH'])('is granted once in each window, and in every one: %s', (interval) => {
    fc.assert(
      fc.property(start, fc.constantFrom(...ZONES), steps(24 * 8, 40), (begins, zone, path) => {
        const books = subscribed(begins, zone);
        walk(books, path, true);
        expectSound(books);
        const anchorDay = books.subscription?.anchorDay ?? 0;
        let window = refreshPeriod(interval, begins, anchorDay, books.zone);
        for (const [index, lot] of grantsOf(books, interval).entries()) {
          // The first begins with the subscription; all others begin and end with their window.
          expect(lot.effectiveAt).toBe(index === 0 ? begins : window.start);
          expect(lot.expiresAt).toBe(window.end);
          window = refreshPeriod(interval, window.end, anchorDay, books.zone);
        }
        expect(window.start).toBeGreaterThan(books.now);
      }),
      { numRuns: 25 },
    );
  });

  it('is the same for a wallet that nobody has looked at', () => {
    fc.assert(
      fc.property(start, fc.constantFrom(...ZONES), steps(24 * 12, 30), (begins, zone, path) => {
        const [watched, asleep] = [subscribed(begins, zone), subscribed(begins, zone)];
        walk(watched, path, true);
        walk(asleep, path, false);
        expectSound(asleep);
        expect(asleep.zone).toEqual(watched.zone);
        expect(asleep.balance).toBe(watched.balance);
        expect(asleep.allowances).toEqual(watched.allowances);
        expect(asleep.subscription?.period).toEqual(watched.subscription?.period);
      }),
      { numRuns: 30 },
    );
  });

  it('keeps the year that was begun: its last month ends with it, and the next year begins there', () => {
    fc.assert(
      fc.property(start, fc.constantFrom(...ZONES), steps(24 * 30, 40), (begins, zone, path) => {
        const books = subscribed(begins, zone, { ...PLAN, interval: 'YEAR' });
        let period = books.subscription?.period ?? { start: begins, end: begins };
        let changedAt: Instant | null = null;
        for (const { hours, zone: next } of path) {
          goTo(books, instant(books.now + hours * HOUR), true);
          books.post(aSettlement());
          const now = books.subscription?.period ?? period;
          if (now.start !== period.start) expect(now.start).toBe(period.end);
          expect(now.end - now.start).toBeGreaterThan(363 * 24 * HOUR);
          expect(grantsOf(books, 'MONTH').map(({ effectiveAt }) => effectiveAt)).toContain(now.start);
          period = now;
          changedAt = ask(books, next, changedAt);
        }
      }),
      { numRuns: 25 },
    );
  });
});
