/** Usage events of one call. */
import { describe, expect, it } from 'vitest';
import { invalidInput } from '../../../src/domain/plain-refusals.ts';
import type { EventsMode } from '../../../src/domain/posting/commands.ts';
import type { EventOutcome } from '../../../src/domain/posting/outcomes.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import { aDebit, aDebitOf, aGrant, anAuthorization, someEvents } from '../../support/builders-commands.ts';
import { eventsOf, postedBy } from '../../support/builders-outcomes.ts';
import { aRate, at, credits, usageOf } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const rates = [aRate('search', '1'), aRate('read', '0')];
const wallet = (amount: string) => aWallet().at(NOW).withLot('purchased', amount).under(policies({ rates })).books();
const search = (quantity: string, key?: string) =>
  aDebitOf([usageOf('search', quantity)], key === undefined ? {} : { key });

/** What became of an event: "posted", "replayed", or the refusal's code, given now or again. */
function toldOf(outcome: EventOutcome): string {
  if (outcome.status !== 'refused') return outcome.status;
  return `${outcome.refusal.code}${outcome.replayed ? ' again' : ''}`;
}
const record = (books: Books, mode: EventsMode, events: Parameters<typeof someEvents>[1]) =>
  eventsOf(books.post(someEvents(mode, events)));

describe('events of EACH', () => {
  it('are decided one by one in their order, each with what could be spent after it', () => {
    const books = wallet('10');
    const outcomes = record(books, 'EACH', [
      search('4'),
      search('7'),
      invalidInput(['usage'], 'is wrong'),
      aDebitOf([usageOf('fly', '1')]),
      search('6'),
      search('1'),
    ]);
    expect(outcomes.map(toldOf)).toEqual([
      'posted',
      'INSUFFICIENT_CREDITS',
      'INVALID_INPUT',
      'UNKNOWN_METER',
      'posted',
      'INSUFFICIENT_CREDITS',
    ]);
    expect(outcomes.map(({ available }) => available)).toEqual(['6', '6', '6', '6', '0', '0'].map(credits));
    expect(books.transactions).toHaveLength(2);
    expect(books.records.size).toBe(4);
    expectSound(books);
  });

  it('are a transaction and a version each', () => {
    const books = wallet('10');
    const { version } = books;
    record(books, 'EACH', [search('1'), search('2'), aDebitOf([usageOf('read', '1')])]);
    expect(books.transactions.map(({ amount }) => amount)).toEqual([credits('-1'), credits('-2'), 0n]);
    expect(books.version).toBe(version + 2n);
  });

  it('whose key comes twice in a call: the second is a duplicate with the first answer', () => {
    const books = wallet('10');
    const outcomes = record(books, 'EACH', [search('4', 'k'), search('1'), search('4', 'k')]);
    const [first, , second] = outcomes;
    if (first?.status !== 'posted') throw new Error('the first was not posted');
    expect(second).toMatchObject({
      status: 'replayed',
      answer: { transactionId: first.transaction.id },
      available: credits('6'),
      availableNow: credits('5'),
    });
    expect(books.balance).toBe(credits('5'));
  });

  it('whose key comes twice with another payload: the second is refused and changes nothing', () => {
    const books = wallet('10');
    expect(record(books, 'EACH', [search('4', 'k'), search('5', 'k'), search('1')]).map(toldOf)).toEqual([
      'posted',
      'IDEMPOTENCY_KEY_REUSED',
      'posted',
    ]);
    expect(books.balance).toBe(credits('5'));
  });

  it('whose key was refused for good within the call: the second is that refusal again', () => {
    const books = wallet('10');
    expect(record(books, 'EACH', [search('40', 'k'), search('40', 'k'), search('1')]).map(toldOf)).toEqual([
      'INSUFFICIENT_CREDITS',
      'INSUFFICIENT_CREDITS again',
      'posted',
    ]);
  });

  it('sent again are all duplicates, refusals that stick included; others are decided anew', () => {
    const books = wallet('10');
    const events = [search('4', 'a'), search('7', 'b'), aDebitOf([usageOf('fly', '1')], { key: 'c' })];
    record(books, 'EACH', events);
    postedBy(books, aGrant('100'));
    const before = stateOf(books);
    expect(record(books, 'EACH', events).map(toldOf)).toEqual([
      'replayed',
      'INSUFFICIENT_CREDITS again',
      'UNKNOWN_METER',
    ]);
    expect(stateOf(books)).toEqual(before);
  });

  it('share their keys with every other operation', () => {
    const books = wallet('10');
    books.post(anAuthorization('1', { key: 'k' }));
    expect(record(books, 'EACH', [search('4', 'k')]).map(toldOf)).toEqual(['IDEMPOTENCY_KEY_REUSED']);
    record(books, 'EACH', [search('4', 'e')]);
    expect(books.post(aDebit('4', { key: 'e' }))).toMatchObject({ refusal: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  });

  it('with an overage policy follow it, each for itself', () => {
    const books = wallet('3');
    const cap = aDebitOf([usageOf('search', '5')], { overage: 'CAP' });
    expect(record(books, 'EACH', [search('1'), cap, search('1')]).map(toldOf)).toEqual([
      'posted',
      'posted',
      'INSUFFICIENT_CREDITS',
    ]);
    expect(books.transactions[1]?.lines).toMatchObject([{ credits: credits('2'), waived: credits('3') }]);
    expectSound(books);
  });
});

describe('events of UNTIL_BLOCKED', () => {
  it('stop after the first refusal: the later ones are not attempted and store nothing', () => {
    const books = wallet('10');
    const outcomes = record(books, 'UNTIL_BLOCKED', [search('4'), search('7', 'b'), search('1', 'c'), search('1')]);
    expect(outcomes.map(toldOf)).toEqual(['posted', 'INSUFFICIENT_CREDITS', 'NOT_ATTEMPTED', 'NOT_ATTEMPTED']);
    expect(books.balance).toBe(credits('6'));
    expect([...books.records.values()].map(({ idempotencyKey }) => idempotencyKey)).toHaveLength(2);
    expect(record(books, 'UNTIL_BLOCKED', [search('2', 'c')]).map(toldOf)).toEqual(['posted']);
    expectSound(books);
  });

  it.each([
    ['that was found invalid before', invalidInput(['usage'], 'is wrong'), 'INVALID_INPUT'],
    ['that is no meter', aDebitOf([usageOf('fly', '1')]), 'UNKNOWN_METER'],
  ])('stop at an event %s', (_name, event, code) => {
    const books = wallet('10');
    expect(record(books, 'UNTIL_BLOCKED', [search('1'), event, search('1')]).map(toldOf)).toEqual([
      'posted',
      code,
      'NOT_ATTEMPTED',
    ]);
  });

  it('do not stop at a duplicate of what was charged, and stop at one of a refusal', () => {
    const books = wallet('10');
    record(books, 'EACH', [search('1', 'a'), search('40', 'b')]);
    const outcomes = record(books, 'UNTIL_BLOCKED', [search('1', 'a'), search('1'), search('40', 'b'), search('1')]);
    expect(outcomes.map(toldOf)).toEqual(['replayed', 'posted', 'INSUFFICIENT_CREDITS again', 'NOT_ATTEMPTED']);
  });

  it('in another call of the same batch are not stopped', () => {
    const books = wallet('10');
    const calls = [
      someEvents('UNTIL_BLOCKED', [search('40'), search('1')]),
      someEvents('UNTIL_BLOCKED', [search('1'), search('2')]),
    ];
    expect(books.run(...calls).map((outcome) => eventsOf(outcome).map(toldOf))).toEqual([
      ['INSUFFICIENT_CREDITS', 'NOT_ATTEMPTED'],
      ['posted', 'posted'],
    ]);
  });
});

describe('events of ALL_OR_NOTHING', () => {
  it('are all charged where none is refused', () => {
    const books = wallet('10');
    expect(record(books, 'ALL_OR_NOTHING', [search('4'), search('6')]).map(toldOf)).toEqual(['posted', 'posted']);
    expect(books.balance).toBe(0n);
    expectSound(books);
  });

  it('leave nothing but the sticky record of the one that was refused', () => {
    const books = wallet('10');
    const before = stateOf(books);
    const outcomes = record(books, 'ALL_OR_NOTHING', [search('4', 'a'), search('7', 'b'), search('1', 'c')]);
    expect(outcomes.map(toldOf)).toEqual(['NOT_ATTEMPTED', 'INSUFFICIENT_CREDITS', 'NOT_ATTEMPTED']);
    expect(stateOf(books)).toEqual(before);
    expect([books.transactions, books.changes]).toEqual([[], []]);
    expect([...books.records.values()]).toMatchObject([{ idempotencyKey: 'b', answer: { available: credits('10') } }]);
    expect(record(books, 'EACH', [search('4', 'a'), search('7', 'b'), search('1', 'c')]).map(toldOf)).toEqual([
      'posted',
      'INSUFFICIENT_CREDITS again',
      'posted',
    ]);
  });

  it('say what can be spent: nothing was charged, also by those before the refused one', () => {
    const books = wallet('10');
    const outcomes = record(books, 'ALL_OR_NOTHING', [search('4'), search('7')]);
    expect(outcomes.map(({ available, availableNow }) => [available, availableNow])).toEqual([
      [credits('10'), credits('10')],
      [credits('10'), credits('10')],
    ]);
    // It was refused for what those before it had left.
    expect(outcomes[1]).toMatchObject({ refusal: { required: credits('7'), available: credits('6') } });
  });

  it.each([
    ['an invalid one', invalidInput(['usage'], 'is wrong')],
    ['one of an unknown meter', aDebitOf([usageOf('fly', '1')])],
  ])('leave nothing at all because of %s', (_name, event) => {
    const books = wallet('10');
    const before = stateOf(books);
    const [first, second, third] = record(books, 'ALL_OR_NOTHING', [search('1'), event, search('1')]).map(toldOf);
    expect([first, third]).toEqual(['NOT_ATTEMPTED', 'NOT_ATTEMPTED']);
    expect(['INVALID_INPUT', 'UNKNOWN_METER']).toContain(second);
    expect(stateOf(books)).toEqual(before);
    expect(books.records.size).toBe(0);
  });

  it('are nothing because of a key that comes twice with another payload', () => {
    const books = wallet('10');
    const outcomes = record(books, 'ALL_OR_NOTHING', [search('1', 'k'), search('2', 'k'), search('1')]);
    expect(outcomes.map(toldOf)).toEqual(['NOT_ATTEMPTED', 'IDEMPOTENCY_KEY_REUSED', 'NOT_ATTEMPTED']);
    expect([books.records.size, books.balance]).toEqual([0, credits('10')]);
  });

  it('with a key that comes twice charge it once', () => {
    const books = wallet('10');
    const outcomes = record(books, 'ALL_OR_NOTHING', [search('4', 'k'), search('4', 'k'), search('6')]);
    expect(outcomes.map(toldOf)).toEqual(['posted', 'replayed', 'posted']);
    expect(books.balance).toBe(0n);
  });

  it('show those that are known as they were answered, although the call is nothing', () => {
    const books = wallet('10');
    record(books, 'EACH', [search('1', 'a'), search('40', 'b')]);
    const before = stateOf(books);
    const outcomes = record(books, 'ALL_OR_NOTHING', [search('1', 'a'), search('40', 'b'), search('1', 'c')]);
    expect(outcomes.map(toldOf)).toEqual(['replayed', 'INSUFFICIENT_CREDITS again', 'NOT_ATTEMPTED']);
    expect(outcomes[1]).toMatchObject({ available: credits('9') });
    expect(stateOf(books)).toEqual(before);
  });

  it('sent again after it was all charged are all duplicates', () => {
    const books = wallet('10');
    const events = [search('4', 'a'), search('6', 'b')];
    record(books, 'ALL_OR_NOTHING', events);
    expect(record(books, 'ALL_OR_NOTHING', events).map(toldOf)).toEqual(['replayed', 'replayed']);
    expect(books.balance).toBe(0n);
  });

  it('that are nothing leave no trace on the commands before and after them in the batch', () => {
    const books = wallet('10');
    const [before, call, other, last] = books.run(
      aDebit('1'),
      someEvents('ALL_OR_NOTHING', [search('5'), search('5', 'b')]),
      someEvents('ALL_OR_NOTHING', [search('8'), search('2')]),
      aDebit('9'),
    );
    expect([before?.status, last?.status]).toEqual(['posted', 'posted']);
    expect([call, other].map((outcome) => outcome && eventsOf(outcome).map(toldOf))).toEqual([
      ['NOT_ATTEMPTED', 'INSUFFICIENT_CREDITS'],
      ['NOT_ATTEMPTED', 'INSUFFICIENT_CREDITS'],
    ]);
    expect(books.balance).toBe(0n);
    expect(books.transactions).toHaveLength(2);
    expectSound(books);
  });

  it('more of them than lots are loaded for are decided with more lots', () => {
    const wallets = aWallet().at(NOW).under(policies({ rates })).loaded({ lotsPerBucket: 1 });
    for (let lot = 0; lot < 9; lot += 1) wallets.withLot('purchased', '1');
    const books = wallets.books();
    expect(record(books, 'ALL_OR_NOTHING', [search('4'), search('5')]).map(toldOf)).toEqual(['posted', 'posted']);
    expect(books.reloads).toBeGreaterThan(0);
    expectSound(books);
  });
});

describe('events on a frozen wallet', () => {
  it.each<EventsMode>(['EACH', 'UNTIL_BLOCKED', 'ALL_OR_NOTHING'])(
    'of %s store nothing; known ones are answered',
    (mode) => {
      const books = wallet('10');
      record(books, 'EACH', [search('1', 'a')]);
      books.frozen = true;
      const before = stateOf(books);
      const outcomes = record(books, mode, [search('1', 'a'), search('1', 'b')]);
      expect(outcomes.map(toldOf)).toEqual(['replayed', 'WALLET_FROZEN']);
      expect(stateOf(books)).toEqual(before);
      expect(books.records.size).toBe(1);
    },
  );
});
