import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type NewsKind,
  type PurchaseNews,
  type PurchaseState,
  type PurchaseStatus,
  resolvePurchase,
} from '../../../src/domain/purchases/purchase.ts';
import { someNews } from '../../support/builders-commands.ts';

const KINDS: readonly NewsKind[] = [
  ...(['PAID', 'FAILED', 'EXPIRED', 'REFUNDED'] as const),
  ...(['DISPUTE_OPENED', 'DISPUTE_WON', 'DISPUTE_LOST'] as const),
];

/** Every status and what each piece of news makes of it, with what happens to the credits. A dot: nothing changes. */
const TABLE: Readonly<Record<PurchaseStatus, readonly string[]>> = {
  //           PAID           FAILED    EXPIRED    REFUNDED                  OPENED                    WON            LOST
  PENDING: [
    ...['PAID FULFIL', 'FAILED', 'EXPIRED', 'REFUNDED FULFIL REVOKE'],
    ...['DISPUTED FULFIL FREEZE', 'PAID FULFIL', 'REFUNDED FULFIL REVOKE'],
  ],
  EXPIRED: [
    ...['PAID FULFIL', 'FAILED', '.', 'REFUNDED FULFIL REVOKE'],
    ...['DISPUTED FULFIL FREEZE', 'PAID FULFIL', 'REFUNDED FULFIL REVOKE'],
  ],
  FAILED: [
    ...['PAID FULFIL', '.', '.', 'REFUNDED FULFIL REVOKE'],
    ...['DISPUTED FULFIL FREEZE', 'PAID FULFIL', 'REFUNDED FULFIL REVOKE'],
  ],
  PAID: ['.', '.', '.', 'REFUNDED REVOKE', 'DISPUTED FREEZE', '.', 'REFUNDED REVOKE'],
  DISPUTED: ['.', '.', '.', 'REFUNDED REVOKE', '.', 'PAID RELEASE', 'REFUNDED REVOKE'],
  REFUNDED: ['.', '.', '.', '.', '.', '.', '.'],
};

const CELLS = Object.entries(TABLE).flatMap(([status, row]) =>
  row.map((cell, index) => [status as PurchaseStatus, KINDS[index] ?? 'PAID', cell] as const),
);

const inState = (status: PurchaseStatus): PurchaseState => ({
  status,
  openDisputes: status === 'DISPUTED' ? ['dispute-1'] : [],
  closedDisputes: [],
});

const resolveAll = (news: readonly PurchaseNews[]): PurchaseState =>
  news.reduce((state, next) => resolvePurchase(state, next).state, inState('PENDING'));

/** The state, whatever the order in which its disputes were heard of. */
const settled = ({ status, openDisputes, closedDisputes }: PurchaseState) => ({
  status,
  openDisputes: openDisputes.toSorted(),
  closedDisputes: closedDisputes.toSorted(),
});

const someNewsOf = fc
  .tuple(fc.constantFrom(...KINDS), fc.constantFrom('dispute-1', 'dispute-2'))
  .map(([kind, dispute]) => someNews(kind, dispute));

describe('a purchase', () => {
  it.each(CELLS)('that is %s and told %s is: %s', (status, kind, expected) => {
    const { state, effects } = resolvePurchase(inState(status), someNews(kind));
    expect([state.status, ...effects].join(' ')).toBe(expected === '.' ? status : expected);
  });

  it('knows every news in every status', () => {
    expect(CELLS).toHaveLength(6 * KINDS.length);
  });

  it('ends in the same state whatever the order of the news and however often it comes', () => {
    const shuffled = fc
      .array(someNewsOf, { minLength: 1, maxLength: 8 })
      .chain((news) =>
        fc.tuple(
          fc.constant(news),
          fc.shuffledSubarray([...news, ...news, ...news], { minLength: news.length * 3, maxLength: news.length * 3 }),
        ),
      );
    fc.assert(
      fc.property(shuffled, ([news, repeated]) => {
        expect(settled(resolveAll(repeated))).toEqual(settled(resolveAll(news)));
      }),
      { numRuns: 1_000 },
    );
  });

  it('has what the news together says: money that is gone, an open dispute, money that came, a refusal, an end', () => {
    fc.assert(
      fc.property(fc.array(someNewsOf, { maxLength: 8 }), (news) => {
        const has = (...kinds: readonly NewsKind[]) => news.some(({ kind }) => kinds.includes(kind));
        const isOpen = news.some(
          (opened) =>
            opened.kind === 'DISPUTE_OPENED' &&
            !news.some((won) => won.kind === 'DISPUTE_WON' && won.dispute === opened.dispute),
        );
        const expected = has('REFUNDED', 'DISPUTE_LOST')
          ? 'REFUNDED'
          : isOpen
            ? 'DISPUTED'
            : has('PAID', 'DISPUTE_OPENED', 'DISPUTE_WON')
              ? 'PAID'
              : has('FAILED')
                ? 'FAILED'
                : has('EXPIRED')
                  ? 'EXPIRED'
                  : 'PENDING';
        expect(resolveAll(news).status).toBe(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  it('says whether there is anything to write: also a dispute that is only remembered', () => {
    const paid = inState('PAID');
    expect(resolvePurchase(paid, someNews('PAID'))).toMatchObject({ changed: false, state: paid });
    const won = resolvePurchase(paid, someNews('DISPUTE_WON'));
    expect(won).toMatchObject({ changed: true, state: { status: 'PAID', closedDisputes: ['dispute-1'] }, effects: [] });
    expect(resolvePurchase(won.state, someNews('DISPUTE_OPENED'))).toMatchObject({ changed: false, effects: [] });
  });

  it('stays disputed while one of two disputes is open', () => {
    const both = resolveAll([someNews('DISPUTE_OPENED', 'one'), someNews('DISPUTE_OPENED', 'two')]);
    const one = resolvePurchase(both, someNews('DISPUTE_WON', 'one'));
    expect(one).toMatchObject({ effects: [], changed: true, state: { status: 'DISPUTED', openDisputes: ['two'] } });
    expect(resolvePurchase(one.state, someNews('DISPUTE_WON', 'two'))).toMatchObject({
      effects: ['RELEASE'],
      state: { status: 'PAID' },
    });
  });
});
