/** Properties of holds: whatever is done with them in whatever order, nothing is lost, made or used twice. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCredits, type Micros, micros, sum } from '../../../src/domain/credits/micros.ts';
import type { HoldStatus } from '../../../src/domain/holds/hold.ts';
import type { Command } from '../../../src/domain/posting/commands.ts';
import { expectSound } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import {
  aCapture,
  aDebit,
  aGrant,
  anAuthorization,
  anExtension,
  aRefund,
  aRelease,
  aSettlement,
} from '../../support/builders-commands.ts';
import { after, at } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const SECOND = 1_000;
/** Spans that meet, so that holds lapse and lots expire exactly when something is done. */
const SPANS = [1, 10 * SECOND, 20 * SECOND, 30 * SECOND, 60 * SECOND];

const amounts = fc.integer({ min: 1, max: 12 }).map(String);
const which = fc.nat();
const overage = fc.constantFrom('REJECT', 'CAP', 'DEBT');

type Step = (books: Books, holds: readonly string[]) => Command | null;
const idOf = (holds: readonly string[], index: number): string => holds[index % Math.max(holds.length, 1)] ?? 'none';

const authorizing = fc.record({ amount: amounts, lifeSeconds: fc.constantFrom(10, 20, 60) }).map(
  ({ amount, lifeSeconds }): Step =>
    () =>
      anAuthorization(amount, { lifeSeconds }),
);
const capturing = fc.record({ which, amount: fc.option(amounts), final: fc.boolean(), overage }).map(
  ({ which: index, amount, ...options }): Step =>
    (_books, holds) =>
      aCapture(idOf(holds, index), amount === null ? options : { ...options, amount }),
);
const ending = which.map(
  (index): Step =>
    (_books, holds) =>
      aRelease(idOf(holds, index)),
);
const extending = fc.record({ which, lifeSeconds: fc.constantFrom(10, 30, 60) }).map(
  ({ which: index, lifeSeconds }): Step =>
    (_books, holds) =>
      anExtension(idOf(holds, index), lifeSeconds),
);
const spending = fc.record({ amount: amounts, overage }).map(
  ({ amount, overage: policy }): Step =>
    () =>
      aDebit(amount, { overage: policy }),
);
const refunding = which.map(
  (index): Step =>
    ({ transactions }) => {
      const charges = transactions.filter(({ kind }) => kind === 'DEBIT' || kind === 'CAPTURE');
      return aRefund(charges[index % Math.max(charges.length, 1)]?.id ?? 'none');
    },
);
const granting = fc.record({ amount: amounts, lasts: fc.option(fc.constantFrom(...SPANS)) }).map(
  ({ amount, lasts }): Step =>
    ({ now }) =>
      aGrant(amount, { expiresAt: lasts === null ? null : after(now, lasts) }),
);
const waiting = fc.constantFrom(...SPANS).map(
  (span): Step =>
    (books) => {
      books.moveTo(after(books.now, span));
      return aSettlement();
    },
);

const holdSteps = fc.oneof(
  { weight: 3, arbitrary: authorizing },
  { weight: 3, arbitrary: capturing },
  { weight: 2, arbitrary: ending },
  { weight: 1, arbitrary: extending },
);
const anySteps = fc.oneof(
  { weight: 5, arbitrary: holdSteps },
  { weight: 1, arbitrary: spending },
  { weight: 1, arbitrary: refunding },
  { weight: 1, arbitrary: granting },
  { weight: 2, arbitrary: waiting },
);

const lots = fc.array(
  fc.record({
    bucket: fc.constantFrom('daily_free', 'promotional', 'monthly_plan', 'purchased'),
    amount: amounts,
    paid: fc.boolean(),
    lasts: fc.option(fc.constantFrom(...SPANS)),
  }),
  { minLength: 1, maxLength: 8 },
);
const limits = fc.record({ lotsPerBucket: fc.integer({ min: 1, max: 3 }), dueLots: fc.integer({ min: 1, max: 3 }) });

interface Opening {
  readonly lots: typeof lots extends fc.Arbitrary<infer Value> ? Value : never;
  readonly limits: { readonly lotsPerBucket: number; readonly dueLots: number };
  readonly isLasting?: boolean;
}

function open({ lots: initial, limits: loaded, isLasting = false }: Opening): Books {
  const rules = policies({ overdraft: '10', maxHoldSeconds: 90, heldGraceSeconds: 20 });
  const wallet = aWallet().at(NOW).under(rules).loaded(loaded);
  for (const { bucket, amount, paid, lasts } of initial) {
    wallet.withLot(bucket, amount, { paid, expiresAt: lasts === null || isLasting ? null : after(NOW, lasts) });
  }
  return wallet.books();
}

/** Runs the steps in batches and looks at the books after each. */
function run(books: Books, batches: readonly (readonly Step[])[], look: () => void): void {
  for (const batch of batches) {
    const holds = [...books.holds.keys()];
    books.run(...batch.flatMap((step) => step(books, holds) ?? []));
    look();
  }
}

const heldByOpenHolds = ({ holds }: Books): Micros =>
  sum([...holds.values()].filter(({ state }) => state.status === 'OPEN').map(({ state }) => state.remaining));

function expectPinsOfHolds(books: Books): void {
  const pinned = new Map<string, bigint>();
  for (const { pins } of books.holds.values()) {
    for (const pin of pins) pinned.set(pin.lotId, (pinned.get(pin.lotId) ?? 0n) + pin.pinned);
  }
  for (const lot of books.lots.values()) expect(lot.pinned).toBe(pinned.get(lot.id) ?? 0n);
}

describe('holds', () => {
  it('conserve: what is available, held and captured adds up to what was there', () => {
    const batches = fc.array(fc.array(holdSteps, { minLength: 1, maxLength: 4 }), { maxLength: 12 });
    fc.assert(
      fc.property(lots, limits, batches, (initial, loaded, steps) => {
        const books = open({ lots: initial, limits: loaded, isLasting: true });
        const beginning = books.available;
        run(books, steps, () => {
          const captured = sum([...books.holds.values()].map(({ state }) => state.captured));
          const buckets = sum(books.buckets.map((bucket) => bucket.available));
          expect(buckets + books.held + captured - books.debt).toBe(beginning);
          expect(books.held).toBe(heldByOpenHolds(books));
          expectPinsOfHolds(books);
          expectSound(books);
        });
      }),
      { numRuns: 150 },
    );
  });

  it('stay sound with whatever else is done, whatever expires, and however little is loaded at once', () => {
    const batches = fc.array(fc.array(anySteps, { minLength: 1, maxLength: 4 }), { maxLength: 20 });
    fc.assert(
      fc.property(lots, limits, batches, (initial, loaded, steps) => {
        const books = open({ lots: initial, limits: loaded });
        const ended = new Map<string, HoldStatus>();
        run(books, steps, () => {
          expect(books.held).toBe(heldByOpenHolds(books));
          expectPinsOfHolds(books);
          expectSound(books);
          for (const [id, { state }] of books.holds) {
            // A hold ends once, and is then changed no more.
            expect(ended.get(id) ?? state.status).toBe(state.status);
            if (state.status !== 'OPEN') ended.set(id, state.status);
          }
        });
        // In the end everything lapses, and nothing is held.
        books.moveTo(after(books.now, 90 * SECOND));
        while (books.post(aSettlement()).status === 'busy');
        expect(books.held).toBe(0n);
        expect([...books.holds.values()].filter(({ state }) => state.status === 'OPEN')).toEqual([]);
        expectSound(books);
      }),
      { numRuns: 250 },
    );
  });

  it('pin what a debit of the same amount would have taken: there is one burn order', () => {
    fc.assert(
      fc.property(lots, limits, fc.nat(), (initial, loaded, share) => {
        const [holding, spending] = [open({ lots: initial, limits: loaded }), open({ lots: initial, limits: loaded })];
        const amount = formatCredits(micros(1n + (BigInt(share) % holding.available)));
        const outcome = holding.post(anAuthorization(amount));
        if (outcome.status !== 'held') throw new Error('what is available can be held');
        spending.post(aDebit(amount));
        const pins = holding.holdById(outcome.hold.facts.id).pins;
        expect(pins.map(({ lotId, pinned }) => [lotId, pinned])).toEqual(
          spending.entries.map((entry) => [entry.lotId, entry.amount]),
        );
      }),
    );
  });

  it('are captured in any parts to the same effect as at once', () => {
    const parts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(lots, limits, parts, (initial, loaded, cuts) => {
        const total = cuts.reduce((all, part) => all + part, 0);
        const effect = (amountsOf: readonly number[]) => {
          const books = open({ lots: initial, limits: loaded });
          fc.pre(books.available >= BigInt(total) * 1_000_000n);
          const outcome = books.post(anAuthorization(String(total)));
          if (outcome.status !== 'held') throw new Error('what is available can be held');
          for (const amount of amountsOf)
            books.post(aCapture(outcome.hold.facts.id, { amount: String(amount), final: false }));
          books.post(aCapture(outcome.hold.facts.id));
          expectSound(books);
          return [...books.lots.values()].map((lot) => [lot.id, lot.remaining, lot.pinned]);
        };
        expect(effect(cuts)).toEqual(effect([]));
      }),
    );
  });
});
