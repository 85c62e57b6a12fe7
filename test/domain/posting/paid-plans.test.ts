/**
 * Plans with a price, whatever happens in whatever order: the books stay sound, and no plan grants more often than it was
 * paid for.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { micros } from '../../../src/domain/credits/micros.ts';
import type { NewsKind } from '../../../src/domain/purchases/purchase.ts';
import type { PlanOffer } from '../../../src/domain/subscriptions/plan-offer.ts';
import { instant } from '../../../src/domain/time/instant.ts';
import { expectSound } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import {
  aCancellation,
  aCollection,
  aDebit,
  aPurchaseRefund,
  aResolution,
  aResumption,
  aSettlement,
  aSubscription,
} from '../../support/builders-commands.ts';
import { at, credits } from '../../support/builders-values.ts';

/** Every plan grants an amount of its own, by which its grants are told apart. */
const MONTHLY = { gratis: '10', basic: '100', plus: '400', tried: '70', yearly: '90' } as const;
type PlanKey = keyof typeof MONTHLY;
const PLANS = Object.keys(MONTHLY) as PlanKey[];
const CENTS: Readonly<Record<PlanKey, bigint>> = { gratis: 0n, basic: 1000n, plus: 3000n, tried: 700n, yearly: 9000n };

const offer = (key: PlanKey): PlanOffer => ({
  name: key,
  price: { amountMinor: CENTS[key], currency: 'USD' },
  interval: key === 'yearly' ? 'YEAR' : 'MONTH',
  trialDays: key === 'tried' ? 14 : 0,
  allowances: [
    {
      bucketKey: 'monthly_plan',
      interval: 'MONTH',
      credits: credits(MONTHLY[key]),
      rolloverLimit: key === 'basic' ? credits('40') : null,
    },
    ...(key === 'plus'
      ? [{ bucketKey: 'daily_free', interval: 'DAY' as const, credits: credits('5'), rolloverLimit: credits('5') }]
      : []),
  ],
});

type Step =
  | { readonly do: 'select'; readonly plan: PlanKey; readonly when: 'NOW' | 'PERIOD_END' | null }
  | { readonly do: 'news'; readonly of: number; readonly kind: NewsKind }
  | { readonly do: 'wait'; readonly hours: number }
  | { readonly do: 'spend'; readonly amount: number }
  | { readonly do: 'collect' | 'resume' }
  | { readonly do: 'refund'; readonly of: number }
  | { readonly do: 'cancel'; readonly atPeriodEnd: boolean };

const NEWS: readonly NewsKind[] = [
  'PAID',
  'PAID',
  'PAID',
  'PAID',
  'FAILED',
  'EXPIRED',
  'REFUNDED',
  'DISPUTE_OPENED',
  'DISPUTE_WON',
  'DISPUTE_LOST',
];

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('select' as const),
      plan: fc.constantFrom(...PLANS),
      when: fc.constantFrom(null, 'NOW' as const, 'PERIOD_END' as const),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('news' as const), of: fc.nat(3), kind: fc.constantFrom(...NEWS) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('wait' as const), hours: fc.integer({ min: 1, max: 24 * 40 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('spend' as const), amount: fc.integer({ min: 1, max: 120 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('collect' as const, 'resume' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refund' as const), of: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), atPeriodEnd: fc.boolean() }) },
);

/** The newest purchases, of which one is meant. */
function meant(books: Books, of: number): string | undefined {
  return books.begun.at(-1 - of)?.id;
}

/** Plans that began without a payment because what was paid for another interval was worth as much. */
type Covered = Map<PlanKey, number>;

function select(books: Books, covered: Covered, plan: PlanKey, when: 'NOW' | 'PERIOD_END' | null): void {
  const before = books.subscription;
  books.post(aSubscription(plan, undefined, when));
  const wasYearly = before?.planKey === 'yearly';
  const hasChanged = before?.status === 'ACTIVE' && books.planKey === plan && before.planKey !== plan;
  if (hasChanged && wasYearly !== (plan === 'yearly')) covered.set(plan, (covered.get(plan) ?? 0) + 1);
}

function take(books: Books, covered: Covered, next: Step): void {
  switch (next.do) {
    case 'select':
      select(books, covered, next.plan, next.when);
      break;
    case 'news': {
      const id = meant(books, next.of);
      if (id !== undefined) books.post(aResolution(id, next.kind, `dispute of ${id}`));
      break;
    }
    case 'wait':
      books.moveTo(instant(books.now + next.hours * 3_600_000));
      books.post(aSettlement());
      break;
    case 'spend':
      books.post(aDebit(`${next.amount}`));
      break;
    case 'refund': {
      const id = meant(books, next.of);
      if (id !== undefined) books.post(aPurchaseRefund(id));
      break;
    }
    case 'cancel':
      books.post(aCancellation(next.atPeriodEnd));
      break;
    case 'collect':
      books.post(aCollection());
      break;
    case 'resume':
      books.post(aResumption());
      break;
  }
}

/** How often a plan has filled its monthly bucket, and how often it was paid for. */
function timesOf(books: Books, plan: PlanKey) {
  const amount = micros(credits(MONTHLY[plan]));
  const granted = books.transactions.filter((made) => made.reasonCode === 'PLAN_GRANT' && made.amount === amount);
  const paid = [...books.purchases.values()].filter(
    ({ facts }) => facts.plan?.planKey === plan && facts.paidAt !== null,
  );
  return { granted: granted.length, paid: paid.length };
}

function expectPaidFor(books: Books, covered: Covered): void {
  for (const plan of ['basic', 'plus'] as const) {
    const { granted, ...times } = timesOf(books, plan);
    const paid = times.paid + (covered.get(plan) ?? 0);
    expect(granted, `${plan} was granted ${granted} times and paid ${paid} times`).toBeLessThanOrEqual(paid);
  }
  const { granted, paid } = timesOf(books, 'yearly');
  expect(granted).toBeLessThanOrEqual(13 * (paid + (covered.get('yearly') ?? 0)));
}

/** What the database would refuse to keep. */
function expectStorable({ subscription }: Books): void {
  if (!subscription) return;
  const { status, payment, cancelAtPeriodEnd, scheduledPlanKey, period } = subscription;
  expect(period.end).toBeGreaterThan(period.start);
  if (status === 'CANCELED') expect([payment, cancelAtPeriodEnd, scheduledPlanKey]).toEqual([null, false, null]);
  if (payment?.purchaseId) expect(payment.nextAttemptAt).toBeNull();
}

describe('plans with a price', () => {
  it.each(['UTC', 'Europe/Berlin', 'Pacific/Apia'])('grant no more often than they are paid, in %s', (timeZone) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
        const books = aWallet()
          .at(at('2026-01-31T09:00:00'))
          .in(timeZone)
          .subscribed(null)
          .under(policies({ plansOnSale: Object.fromEntries(PLANS.map((key) => [key, offer(key)])) }))
          .books();
        const covered: Covered = new Map();
        for (const next of steps) {
          take(books, covered, next);
          expectSound(books);
          expectStorable(books);
          expectPaidFor(books, covered);
        }
      }),
      { numRuns: 300 },
    );
  });
});
