import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { micros } from '../../../src/domain/credits/micros.ts';
import type { PostedTransaction } from '../../../src/domain/posting/records.ts';
import { transactionDetails } from '../../../src/domain/posting/records.ts';
import { carriedUsage } from '../../../src/domain/statements/carried-usage.ts';
import { monthAt } from '../../../src/domain/time/calendar.ts';
import { formatInstant, type Instant, instant } from '../../../src/domain/time/instant.ts';
import type { Zone } from '../../../src/domain/time/zone.ts';
import { rollUp } from '../../../src/domain/usage/rollup.ts';
import { at } from '../../support/builders-values.ts';

const ACTOR = { kind: 'SYSTEM', id: 'test' } as const;

function aCharge(effectiveAt: Instant, occurredAt: Instant | null, quantity = 1n): PostedTransaction {
  const line = {
    ...{ meter: 'search', quantity: { coefficient: quantity, scale: 0 }, rate: '1 per unit' },
    ...{ credits: micros(quantity * 1_000_000n), waived: micros(0n), dimensions: { model: 'm' }, preview: false },
  };
  const details = transactionDetails({
    kind: 'DEBIT',
    reasonCode: 'USAGE',
    actor: ACTOR,
    effectiveAt,
    occurredAt,
    lines: [line],
  });
  return {
    ...details,
    ...{ id: 't', walletId: 'w', amount: micros(-quantity * 1_000_000n), postedAt: effectiveAt },
  } as PostedTransaction;
}

const rows = (transactions: readonly PostedTransaction[], zone: Zone = 'UTC') =>
  carriedUsage(transactions, zone).map(({ startsAt, quantity, credits, events }) => [
    ...[formatInstant(startsAt), quantity.coefficient, credits, events],
  ]);

describe('usage', () => {
  it('that occurred in the month in which it was posted is not carried', () => {
    expect(rows([aCharge(at('2026-11-15'), null)])).toEqual([]);
    expect(rows([aCharge(at('2026-11-15'), at('2026-11-14'))])).toEqual([]);
    expect(rows([aCharge(at('2026-11-30T23:59:00Z'), at('2026-11-24'))])).toEqual([]);
  });

  it('that was posted a month later is carried from where it occurred to where it was posted', () => {
    expect(rows([aCharge(at('2026-12-01T00:20:00Z'), at('2026-11-30T23:50:00Z'), 3n)])).toEqual([
      ['2026-12-01T00:15:00.000Z', 3n, 3_000_000n, 1n],
      ['2026-11-30T23:45:00.000Z', -3n, -3_000_000n, -1n],
    ]);
  });

  it('goes by the months of the zone', () => {
    const charge = aCharge(at('2026-12-01T00:20:00Z'), at('2026-11-30T23:50:00Z'));
    expect(rows([charge], 'America/New_York')).toEqual([]);
    expect(rows([charge], 'UTC')).toHaveLength(2);
  });

  it('of what is no charge is not carried', () => {
    const refund = { ...aCharge(at('2026-12-01T00:20:00Z'), at('2026-11-30T23:50:00Z')), kind: 'REFUND' as const };
    expect(rows([refund])).toEqual([]);
  });

  it('added to the rollups makes every month what was posted in it, in any zone', () => {
    const hours = fc.integer({ min: 0, max: 70 * 24 * 4 });
    const charges = fc.array(
      fc.tuple(hours, fc.integer({ min: -1, max: 7 * 24 * 4 }), fc.bigInt({ min: 1n, max: 9n })),
      {
        maxLength: 60,
      },
    );
    const zones = fc.constantFrom(
      'UTC',
      'Africa/Cairo',
      'Australia/Lord_Howe',
      'Pacific/Kiritimati',
      'Pacific/Pago_Pago',
    );
    fc.assert(
      fc.property(charges, zones, (drawn, zone) => {
        const quarter = 15 * 60_000;
        const transactions = drawn.map(([posted, late, quantity]) => {
          const effectiveAt = instant(at('2026-10-01') + posted * quarter + 1);
          return aCharge(effectiveAt, instant(effectiveAt - late * quarter), quantity);
        });
        const byMonth = new Map<string, bigint>();
        const count = (when: Instant, quantity: bigint) => {
          const { name } = monthAt(when, zone);
          byMonth.set(name, (byMonth.get(name) ?? 0n) + quantity);
        };
        for (const { effectiveAt, lines } of transactions) count(effectiveAt, -(lines[0]?.quantity.coefficient ?? 0n));
        for (const { grain, startsAt, quantity } of rollUp(transactions)) {
          if (grain === 'QUARTER_HOUR') count(startsAt, quantity.coefficient);
        }
        for (const { startsAt, quantity } of carriedUsage(transactions, zone)) count(startsAt, quantity.coefficient);
        expect([...byMonth.values()].filter((left) => left !== 0n)).toEqual([]);
      }),
    );
  });
});
