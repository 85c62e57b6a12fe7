import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../src/domain/canonical.ts';
import { micros, ZERO } from '../../../src/domain/credits/micros.ts';
import {
  addMovements,
  boundMovements,
  entryRange,
  isBalanced,
  MAX_MOVEMENTS,
  OTHER_REASONS,
  type StatedMovement,
  type Statement,
  statementContent,
  statementHash,
} from '../../../src/domain/statements/statement.ts';
import { yearMonth } from '../../../src/domain/statements/year-month.ts';
import { at } from '../../support/builders-values.ts';

const movement = (reasonCode: string, credits: bigint, entries = 1n): StatedMovement => ({
  reasonCode,
  credits: micros(credits),
  entries,
});

const aStatement = (changes: Partial<Statement> = {}): Statement => ({
  organizationId: 'o',
  slug: 'acme',
  walletId: 'w',
  month: yearMonth('2026-11'),
  start: at('2026-11-01'),
  end: at('2026-12-01'),
  timeZone: 'UTC',
  opening: micros(5_000_000n),
  closing: micros(7_500_000n),
  openingSequence: 3n,
  closingSequence: 6n,
  ledgerHash: 'ab',
  credited: [movement('GRANT', 4_000_000n)],
  debited: [movement('USAGE', 1_500_000n, 2n)],
  usage: [
    {
      ...{ meter: 'search', model: null, userId: 'ann', projectId: null, isRest: false },
      ...{ quantity: { coefficient: 15n, scale: 1 }, credits: micros(1_500_000n), events: 2n },
    },
  ],
  closedAt: at('2026-12-01T00:00:01Z'),
  previousHash: 'cd',
  ...changes,
});

describe('the equation', () => {
  it('is opening + credited − debited = closing, over as many entries as the sequence grew by', () => {
    expect(isBalanced(aStatement())).toBe(true);
    expect(isBalanced(aStatement({ closing: micros(7_500_001n) }))).toBe(false);
    expect(isBalanced(aStatement({ opening: micros(4_999_999n) }))).toBe(false);
    expect(isBalanced(aStatement({ closingSequence: 7n }))).toBe(false);
    expect(isBalanced(aStatement({ credited: [] }))).toBe(false);
  });

  it('holds for a month without entries', () => {
    const quiet = { closing: micros(5_000_000n), closingSequence: 3n, credited: [], debited: [] };
    expect(isBalanced(aStatement(quiet))).toBe(true);
    expect(entryRange(aStatement(quiet))).toBeNull();
    expect(entryRange(aStatement())).toEqual({ from: 4n, to: 6n });
  });
});

const movements = fc.array(
  fc
    .tuple(fc.stringMatching(/^[a-z]{1,3}$/), fc.bigInt({ min: 1n, max: 10n ** 12n }), fc.bigInt({ min: 1n, max: 9n }))
    .map(([reasonCode, credits, entries]) => movement(reasonCode, credits, entries)),
  { maxLength: 3 * MAX_MOVEMENTS },
);
const totals = (list: readonly StatedMovement[]) => [
  list.reduce((sum, { credits }) => sum + credits, 0n),
  list.reduce((sum, { entries }) => sum + entries, 0n),
];

describe('movements', () => {
  it('of a reason are one, and add up to what they did', () => {
    fc.assert(
      fc.property(movements, movements, (some, others) => {
        const added = addMovements(some, others);
        expect(totals(added)).toEqual(totals([...some, ...others]));
        expect(new Set(added.map(({ reasonCode }) => reasonCode)).size).toBe(added.length);
      }),
    );
  });

  it('are told most first, so many at most, and none is lost', () => {
    fc.assert(
      fc.property(movements, (all) => {
        const added = addMovements(all, []);
        const bound = boundMovements(added);
        expect(totals(bound)).toEqual(totals(added));
        expect(bound.length).toBe(Math.min(added.length, MAX_MOVEMENTS));
        const told = added.length > MAX_MOVEMENTS ? bound.slice(0, -1) : bound;
        expect(bound.at(-1)?.reasonCode === OTHER_REASONS).toBe(added.length > MAX_MOVEMENTS);
        for (const [index, { credits }] of told.entries()) {
          expect(credits).toBeLessThanOrEqual(told[index - 1]?.credits ?? credits);
        }
      }),
    );
  });
});

describe('the content', () => {
  it('is one canonical text', () => {
    expect(statementContent(aStatement())).toBe(
      '{"closedAt":"2026-12-01T00:00:01.000Z","closing":"7.5","closingSequence":6,' +
        '"credited":[{"credits":"4","entries":1,"reasonCode":"GRANT"}],' +
        '"debited":[{"credits":"1.5","entries":2,"reasonCode":"USAGE"}],"endsAt":"2026-12-01T00:00:00.000Z",' +
        '"fromSequence":4,"ledgerHash":"ab","month":"2026-11","opening":"5","openingSequence":3,"organizationId":"o",' +
        '"previousHash":"cd","scheme":"purser-statement-1","slug":"acme","startsAt":"2026-11-01T00:00:00.000Z",' +
        '"status":"CLOSED","timeZone":"UTC","toSequence":6,' +
        '"usage":[{"credits":"1.5","events":2,"meter":"search","quantity":"1.5","userId":"ann"}],"walletId":"w"}',
    );
  });

  it('is hashed as it is', () => {
    const content = statementContent(aStatement());
    expect(statementHash(content)).toBe(hash('sha256', content));
    expect(canonicalJson(JSON.parse(content))).toBe(content);
  });

  it('of a provisional statement says so', () => {
    const open = JSON.parse(statementContent(aStatement({ closedAt: null, previousHash: null })));
    expect(open).toMatchObject({ status: 'OPEN' });
    expect(open).not.toHaveProperty('closedAt');
  });

  it('differs wherever the statement does', () => {
    const content = statementContent(aStatement());
    const others: Partial<Statement>[] = [
      { opening: ZERO },
      { closing: ZERO },
      { slug: 'other' },
      { walletId: 'x' },
      { timeZone: 'Asia/Tokyo' },
      { end: at('2026-12-02') },
      { ledgerHash: null },
      { previousHash: null },
      { credited: [] },
      { usage: [] },
    ];
    for (const change of others) expect(statementContent(aStatement(change))).not.toBe(content);
  });
});
