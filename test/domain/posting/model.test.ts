/**
 * Random commands at random times, decided by `decideBatch` over many batches with small prefixes and bounds, against a
 * model that knows nothing of batches, snapshots, prefixes or hashes and predicts every reply and every lot.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCredits, micros } from '../../../src/domain/credits/micros.ts';
import type { Command } from '../../../src/domain/posting/commands.ts';
import { instant } from '../../../src/domain/time/instant.ts';
import { expectSound } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import { aDebit, aDebitOf, aGrant, anAdjustment, aResolution, aSettlement } from '../../support/builders-commands.ts';
import { aRate, at, usageOf } from '../../support/builders-values.ts';
import { BUCKETS, CEILING, DAY, HOUR, type NaiveCommand, NaiveWallet } from './naive-wallet.ts';

const START = at('2026-01-30T22:00:00');
/** Spans that meet: so that lots expire exactly when something is done. */
const SPANS = [1, 999, 1_000, HOUR, 2 * HOUR, DAY - 1, DAY, DAY + HOUR, 3 * DAY, 29 * DAY];

const keys = fc.integer({ min: 0, max: 30 }).map((number) => `key-${number}`);
const buckets = fc.constantFrom(...BUCKETS);
const amounts = fc.bigInt({ min: 1n, max: 120n });

const initialLots = fc.array(
  fc.record({
    bucket: buckets,
    amount: amounts,
    paid: fc.boolean(),
    startsIn: fc.constantFrom(-DAY, -1, HOUR, DAY),
    lasts: fc.option(fc.constantFrom(...SPANS)),
  }),
  { maxLength: 8 },
);

/** Times of expiry are counted from the start, so that some lie in the past when a command is run. */
const commands = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('debit' as const), key: keys, amount: amounts }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('debit' as const), key: keys, amount: fc.constant(CEILING + 1n) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('free' as const), key: keys }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('grant' as const),
      key: keys,
      amount: amounts,
      bucket: fc.oneof({ weight: 9, arbitrary: buckets }, { weight: 1, arbitrary: fc.constant('nowhere') }),
      expiresAt: fc.option(fc.constantFrom(...SPANS, 5 * DAY, 60 * DAY).map((span) => START + span)),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('adjust' as const),
      key: keys,
      amount: fc.bigInt({ min: -60n, max: 60n }).filter((amount) => amount !== 0n),
      bucket: buckets,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pay' as const), purchase: fc.constantFrom('p1', 'p2') }) },
  { weight: 1, arbitrary: fc.constant<NaiveCommand>({ kind: 'settle' }) },
);

const steps = fc.array(
  fc.record({
    advance: fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(...SPANS) }),
    active: fc.oneof({ weight: 8, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    frozen: fc.oneof({ weight: 8, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    batch: fc.array(commands, { maxLength: 6 }),
  }),
  { minLength: 1, maxLength: 15 },
);

function toCommand(command: NaiveCommand): Command {
  const text = (amount: bigint): string => formatCredits(micros(amount));
  switch (command.kind) {
    case 'debit':
      return aDebit(text(command.amount), { key: command.key });
    case 'free':
      return aDebitOf([usageOf('read', '1')], { key: command.key });
    case 'grant': {
      const expiresAt = command.expiresAt === null ? null : instant(command.expiresAt);
      return aGrant(text(command.amount), { key: command.key, bucket: command.bucket, expiresAt });
    }
    case 'adjust':
      return anAdjustment(text(command.amount), command.bucket, command.key);
    case 'pay':
      return aResolution(command.purchase, 'PAID');
    case 'settle':
      return aSettlement();
  }
}

type InitialLots = typeof initialLots extends fc.Arbitrary<infer Lots> ? Lots : never;

/** The same beginning for both: lots, allowances of every interval, two purchases. */
function begin(
  lots: InitialLots,
  limits: { lotsPerBucket: number; dueLots: number },
): { books: Books; model: NaiveWallet } {
  const rules = policies({ commandCeiling: formatCredits(micros(CEILING)), rates: [aRate('read', '0')] });
  const wallet = aWallet().at(START).under(rules).loaded(limits);
  const naiveLots = lots.map(({ bucket, amount, paid, startsIn, lasts }) => {
    const effectiveAt = START + startsIn;
    const expiresAt = lasts === null ? null : Math.max(START, effectiveAt) + lasts;
    wallet.withLot(bucket, formatCredits(micros(amount)), {
      effectiveAt: instant(effectiveAt),
      expiresAt: expiresAt === null ? null : instant(expiresAt),
      paid,
    });
    return { bucket, paid, effectiveAt, expiresAt, remaining: amount };
  });
  const model = new NaiveWallet(START, naiveLots);
  const firstDue = START + 30 * 60_000;
  for (const [bucket, interval, amount, anchorDay] of [
    ['daily_free', 'DAY', 40n, 1],
    ['monthly_plan', 'MONTH', 70n, 31],
  ] as const) {
    const text = formatCredits(micros(amount));
    wallet.withAllowance(bucket, interval, text, { nextRefreshAt: instant(firstDue), anchorDay });
    model.allowances.push({ bucket, interval, amount, anchorDay, next: firstDue });
  }
  for (const [id, amount, bonus] of [
    ['p1', 90n, 9n],
    ['p2', 50n, 0n],
  ] as const) {
    wallet.withPurchase(id, { credits: micros(amount), bonus: micros(bonus), expiresAfterDays: 2 });
    model.unpaid.set(id, { amount, bonus });
  }
  return { books: wallet.books(), model };
}

function expectAlike(books: Books, model: NaiveWallet): void {
  expect(books.balance).toBe(model.balance);
  expect(books.available).toBe(model.available);
  expect(books.sequence).toBe(model.sequence);
  expect(books.version).toBe(model.version);
  for (const bucket of BUCKETS)
    expect([bucket, books.remainingIn(bucket)]).toEqual([bucket, model.remainingIn(bucket)]);
}

describe('the engine', () => {
  it('answers every command as the model predicts, and its books are sound after every batch', () => {
    const limits = fc.record({
      lotsPerBucket: fc.integer({ min: 1, max: 4 }),
      dueLots: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(initialLots, steps, limits, (lots, run, loaded) => {
        const { books, model } = begin(lots, loaded);
        for (const { advance, active, frozen, batch } of run) {
          model.now += advance;
          Object.assign(model, { active, frozen });
          books.moveTo(instant(model.now));
          books.frozen = frozen;
          books.status = active ? 'ACTIVE' : 'PAST_DUE';
          model.settle();
          for (let batches = 0; books.post(aSettlement()).status === 'busy'; batches++)
            expect(batches).toBeLessThan(200);
          expectAlike(books, model);
          const outcomes = books.run(...batch.map(toCommand));
          expect(outcomes).toHaveLength(batch.length);
          for (const [index, command] of batch.entries()) model.check(command, outcomes[index]);
          expectAlike(books, model);
          expectSound(books);
        }
      }),
      { numRuns: 400 },
    );
  });
});
