/** Holds: authorize, capture, release, lapse, extend. */
import { describe, expect, it } from 'vitest';
import { formatCredits } from '../../../src/domain/credits/micros.ts';
import { rateCard } from '../../../src/domain/pricing/rate-card.ts';
import { instant } from '../../../src/domain/time/instant.ts';
import { expectSound, stateOf } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies } from '../../support/builders-books.ts';
import {
  A_KEY,
  aCapture,
  aDebit,
  aGrant,
  anAuthorization,
  anExtension,
  aRelease,
  aSettlement,
} from '../../support/builders-commands.ts';
import { aHold, heldBy, holdState, movesOf, postedBy, refusedBy } from '../../support/builders-outcomes.ts';
import { after, aRate, at, credits, usageOf } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const SECOND = 1_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const wallet = () => aWallet().at(NOW);
const stateAt = (books: Books, id: string) => holdState(books.holdById(id));
/** The newest versions: reason, net change, what is held then. */
const changesOf = ({ changes }: Books, from = 0) =>
  changes.slice(from).map(({ reasonCode, change, held }) => [reasonCode, formatCredits(change), formatCredits(held)]);

describe('authorizing', () => {
  it('takes the amount out of what can be spent and leaves it in the balance, without an entry', () => {
    const books = wallet().withLot('purchased', '10').books();
    const { hold, available } = heldBy(books, anAuthorization('4'));
    expect(available).toBe(credits('6'));
    expect(hold.state).toEqual({
      status: 'OPEN',
      captured: 0n,
      remaining: credits('4'),
      expiresAt: after(NOW, 15 * 60 * SECOND),
    });
    expect([books.balance, books.available, books.held]).toEqual([credits('10'), credits('6'), credits('4')]);
    expect(books.entries).toEqual([]);
    expect(books.transactions).toEqual([]);
    expect(changesOf(books)).toEqual([['HOLD', '-4', '4']]);
    expectSound(books);
  });

  it('keeps who asked for it, for whom, and how it was priced', () => {
    const attribution = { userId: 'user-1', projectId: 'project-1', taskId: 'task-1', executionId: 'execution-1' };
    const rules = policies({ rates: [aRate('scrape', '1.5', { unit: 'page' })] });
    const books = wallet().withLot('purchased', '10').under(rules).books();
    const usage = [usageOf('scrape', '2', { js: true })];
    const id = aHold(books, '0', { key: 'k', usage, attribution });
    expect(books.holdById(id).facts).toMatchObject({
      amount: credits('3'),
      idempotencyKey: 'k',
      actor: A_KEY,
      attribution,
      rateCardVersion: 1,
      lines: [{ meter: 'scrape', credits: credits('3'), waived: 0n, dimensions: { js: true } }],
      reservations: [],
      createdAt: NOW,
    });
  });

  it('pins particular lots in burn order, and what it pinned is spent by nobody else', () => {
    const books = wallet()
      .withLot('purchased', '10')
      .withLot('promotional', '3', { expiresAt: after(NOW, DAY) })
      .withLot('promotional', '2')
      .books();
    const id = aHold(books, '6');
    expect(stateAt(books, id).pins).toEqual([
      ['id-00000002', '3'],
      ['id-00000003', '2'],
      ['id-00000001', '1'],
    ]);
    expect(refusedBy(books, aDebit('9.000001'))).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      available: credits('9'),
      held: credits('6'),
    });
    postedBy(books, aDebit('9'));
    expect(movesOf(books)).toEqual([['USAGE', '-9', 'id-00000001']]);
    expect(stateAt(books, id).remaining).toBe('6');
    expectSound(books);
  });

  it('of exactly what is available is possible, and of one micro more refused at once', () => {
    const books = wallet().withLot('promotional', '1').withLot('purchased', '4').books();
    const before = stateOf(books);
    expect(refusedBy(books, anAuthorization('5.000001'))).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      required: credits('5.000001'),
      available: credits('5'),
      held: 0n,
      replayed: false,
    });
    expect(stateOf(books)).toEqual(before);
    expect(books.holds.size).toBe(0);
    expect(heldBy(books, anAuthorization('5')).available).toBe(0n);
    expectSound(books);
  });

  it('many times in one batch never holds more than is available', () => {
    const books = wallet().withLot('purchased', '10').books();
    const outcomes = books.run(...Array.from({ length: 8 }, () => anAuthorization('3')));
    expect(outcomes.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 3 }, () => 'held'),
      ...Array.from({ length: 5 }, () => 'refused'),
    ]);
    expect([books.held, books.available]).toEqual([credits('9'), credits('1')]);
    expectSound(books);
  });

  it.each([
    ['as long as the catalog allows', 3_600, true],
    ['a second longer', 3_601, false],
  ])('lasts %s: %s s', (_name, lifeSeconds, isAllowed) => {
    const rules = policies({ maxHoldSeconds: 3_600 });
    const books = wallet().withLot('purchased', '10').under(rules).books();
    const command = anAuthorization('1', { key: 'k', lifeSeconds });
    if (isAllowed) expect(heldBy(books, command).hold.state.expiresAt).toBe(after(NOW, HOUR));
    else {
      expect(refusedBy(books, command)).toMatchObject({ code: 'INVALID_INPUT', path: ['expiresInSeconds'] });
      expect([books.holds.size, books.records.size]).toEqual([0, 0]);
    }
  });

  it('is refused in a fixed order: invalid, frozen, unknown meter, subscription, funds', () => {
    const books = wallet()
      .subscribed(null)
      .frozen()
      .under(policies({ rates: [aRate('scrape', '1')], maxHoldSeconds: 10 }))
      .books();
    const unknown = [usageOf('fly', '1')];
    const code = (options: Parameters<typeof anAuthorization>[1]) =>
      refusedBy(books, anAuthorization('1', options)).code;
    expect(code({ usage: unknown, lifeSeconds: 11 })).toBe('INVALID_INPUT');
    expect(code({ usage: unknown, lifeSeconds: 10 })).toBe('WALLET_FROZEN');
    books.frozen = false;
    expect(code({ usage: unknown, lifeSeconds: 10 })).toBe('UNKNOWN_METER');
    expect(code({ lifeSeconds: 10 })).toBe('SUBSCRIPTION_REQUIRED');
    books.status = 'ACTIVE';
    expect(books.records.size).toBe(0);
    expect(code({ lifeSeconds: 10 })).toBe('INSUFFICIENT_CREDITS');
    expect(books.holds.size).toBe(0);
  });
});

describe('a hold of free work', () => {
  const rules = policies({ rates: [aRate('read', '0')] });
  const free = { usage: [usageOf('read', '3')] };

  it('is a hold of zero: nothing is pinned and no version is made, even where there is nothing to spend', () => {
    const books = wallet().under(rules).books();
    const before = stateOf(books);
    const id = aHold(books, '0', free);
    expect(stateAt(books, id)).toEqual({ status: 'OPEN', captured: '0', remaining: '0', pins: [] });
    expect(stateOf(books)).toEqual(before);
    expect(books.changes).toEqual([]);
  });

  it('needs a subscription all the same', () => {
    const books = wallet().subscribed(null).under(rules).books();
    expect(refusedBy(books, anAuthorization('0', free)).code).toBe('SUBSCRIPTION_REQUIRED');
    expect(books.holds.size).toBe(0);
  });

  it('is captured as free work: a transaction with its lines and no entry', () => {
    const books = wallet().under(rules).books();
    const { version } = books;
    const id = aHold(books, '0', free);
    const { transaction } = postedBy(books, aCapture(id));
    expect(transaction).toMatchObject({ kind: 'CAPTURE', amount: 0n, lines: [{ meter: 'read', credits: 0n }] });
    expect(stateAt(books, id).status).toBe('CAPTURED');
    expect([books.entries, books.version]).toEqual([[], version]);
    expectSound(books);
  });

  it('is released, and lapses, without a version', () => {
    const books = wallet().under(rules).books();
    const { version } = books;
    const [released, lapsed] = [aHold(books, '0', free), aHold(books, '0', { ...free, lifeSeconds: 60 })];
    heldBy(books, aRelease(released));
    books.moveTo(after(NOW, 60 * SECOND)).post(aSettlement());
    expect([stateAt(books, released).status, stateAt(books, lapsed).status]).toEqual(['RELEASED', 'EXPIRED']);
    expect(books.version).toBe(version);
    expect(books.nextTransitionAt).toBeNull();
  });
});

describe('capturing', () => {
  it('charges the whole hold where nothing else is said, from the lots that it pinned', () => {
    const books = wallet().withLot('purchased', '10').withLot('promotional', '3').books();
    const id = aHold(books, '5');
    postedBy(books, aGrant('100'));
    const [entries, changes] = [books.entries.length, books.changes.length];
    const outcome = postedBy(books, aCapture(id));
    expect(outcome).toMatchObject({ available: credits('108'), hold: { state: { status: 'CAPTURED' } } });
    expect(movesOf(books, entries)).toEqual([
      ['USAGE', '-3', 'id-00000002'],
      ['USAGE', '-2', 'id-00000001'],
    ]);
    expect(changesOf(books, changes)).toEqual([['USAGE', '0', '0']]);
    expect(stateAt(books, id)).toMatchObject({ status: 'CAPTURED', captured: '5', remaining: '0' });
    expectSound(books);
  });

  it('inherits the attribution of the hold and names it', () => {
    const attribution = { userId: 'user-1', projectId: 'project-1', taskId: 'task-1', executionId: 'execution-1' };
    const books = wallet().withLot('purchased', '10').books();
    const id = aHold(books, '5', { attribution });
    const { transaction } = postedBy(books, aCapture(id, { key: 'c', amount: '2' }));
    expect(transaction).toMatchObject({ kind: 'CAPTURE', attribution, holdId: id, idempotencyKey: 'c', actor: A_KEY });
  });

  it('less releases the rest in the same commit: one transaction, one version', () => {
    const books = wallet().withLot('purchased', '10').books();
    const id = aHold(books, '5');
    expect(postedBy(books, aCapture(id, { amount: '2' })).available).toBe(credits('8'));
    expect(changesOf(books)).toEqual([
      ['HOLD', '-5', '5'],
      ['USAGE', '3', '0'],
    ]);
    expect(stateAt(books, id)).toMatchObject({ status: 'CAPTURED', captured: '2', remaining: '0' });
    expect([books.balance, books.available, books.held]).toEqual([credits('8'), credits('8'), 0n]);
    expectSound(books);
  });

  it('with `final` false leaves the rest reserved for more captures, which add up', () => {
    const books = wallet().withLot('promotional', '3').withLot('purchased', '10').books();
    const id = aHold(books, '8');
    postedBy(books, aCapture(id, { amount: '2', final: false }));
    expect(stateAt(books, id)).toEqual({
      status: 'OPEN',
      captured: '2',
      remaining: '6',
      pins: [
        ['id-00000001', '1'],
        ['id-00000002', '5'],
      ],
    });
    postedBy(books, aCapture(id, { amount: '3.5', final: false }));
    expect(stateAt(books, id)).toMatchObject({ status: 'OPEN', captured: '5.5', remaining: '2.5' });
    expect(books.available).toBe(credits('5'));
    expect(postedBy(books, aCapture(id)).transaction.amount).toBe(credits('-2.5'));
    expect(stateAt(books, id)).toMatchObject({ status: 'CAPTURED', captured: '8', remaining: '0' });
    expect([books.balance, books.available]).toEqual([credits('5'), credits('5')]);
    expectSound(books);
  });

  it('all of it with `final` false leaves an empty hold open, which releases nothing', () => {
    const books = wallet().withLot('purchased', '10').books();
    const id = aHold(books, '4');
    postedBy(books, aCapture(id, { amount: '4', final: false }));
    expect(stateAt(books, id)).toMatchObject({ status: 'OPEN', captured: '4', remaining: '0' });
    expect(refusedBy(books, aCapture(id, { amount: '0.000001' }))).toMatchObject({
      code: 'CAPTURE_EXCEEDS_HOLD',
      required: 1n,
      held: 0n,
    });
    const { version } = books;
    heldBy(books, aRelease(id));
    expect(books.version).toBe(version);
    expect([books.balance, books.available]).toEqual([credits('6'), credits('6')]);
    expectSound(books);
  });

  it('twice is refused the second time: a hold ends once', () => {
    const books = wallet().withLot('purchased', '10').books();
    const id = aHold(books, '4');
    postedBy(books, aCapture(id));
    const before = stateOf(books);
    const second = aCapture(id, { key: 'second' });
    expect(refusedBy(books, second)).toEqual({ code: 'HOLD_NOT_OPEN', status: 'CAPTURED', replayed: false });
    expect(stateOf(books)).toEqual(before);
    expect(books.records.has(`${second.organizationId}:second`)).toBe(false);
  });

  it.each([
    ['capture', 'release', 'CAPTURED'],
    ['release', 'capture', 'RELEASED'],
  ] as const)('%s and then %s: the first one decides', (first, _second, status) => {
    for (const isOneBatch of [true, false]) {
      const books = wallet().withLot('purchased', '10').books();
      const id = aHold(books, '4');
      const commands = first === 'capture' ? [aCapture(id), aRelease(id)] : [aRelease(id), aCapture(id)];
      const outcomes = isOneBatch ? books.run(...commands) : commands.flatMap((command) => books.run(command));
      expect(outcomes[0]?.status).toBe(first === 'capture' ? 'posted' : 'held');
      expect(outcomes[1]).toMatchObject({ status: 'refused', refusal: { code: 'HOLD_NOT_OPEN', status } });
      expect(books.balance).toBe(first === 'capture' ? credits('6') : credits('10'));
      expect(books.available).toBe(books.balance);
      expectSound(books);
    }
  });

  it('in the batch that authorizes is possible too', () => {
    const books = wallet().withLot('purchased', '10').books();
    const [made, other] = books.run(anAuthorization('4'), anAuthorization('3'));
    if (made?.status !== 'held' || other?.status !== 'held') throw new Error('not held');
    books.run(aCapture(made.hold.facts.id), aRelease(other.hold.facts.id), anAuthorization('6'));
    expect([books.balance, books.available, books.held]).toEqual([credits('6'), 0n, credits('6')]);
    expectSound(books);
  });

  it('of a hold that is not there is refused', () => {
    const books = wallet().withLot('purchased', '10').books();
    const notFound = { code: 'NOT_FOUND', what: 'hold' };
    expect(refusedBy(books, aCapture('nowhere'))).toMatchObject(notFound);
    expect(refusedBy(books, aRelease('nowhere'))).toMatchObject(notFound);
    expect(refusedBy(books, anExtension('nowhere', 60))).toMatchObject(notFound);
    expect(books.records.size).toBe(0);
  });

  it('goes on after the subscription has ended: the work was admitted when it was authorized', () => {
    const books = wallet().withLot('purchased', '10').books();
    const id = aHold(books, '4');
    books.status = 'PAST_DUE';
    expect(postedBy(books, aCapture(id)).transaction.amount).toBe(credits('-4'));
  });

  it('and every other command on a hold waits while the wallet is frozen, before it asks for the hold’s state', () => {
    const books = wallet().withLot('purchased', '10').books();
    const [open, ended] = [aHold(books, '4'), aHold(books, '1')];
    heldBy(books, aRelease(ended));
    books.frozen = true;
    const before = stateOf(books);
    for (const id of [open, ended]) {
      for (const command of [aCapture(id), aRelease(id), anExtension(id, 3_600)]) {
        expect(refusedBy(books, command).code).toBe('WALLET_FROZEN');
      }
    }
    expect(stateOf(books)).toEqual(before);
    books.frozen = false;
    postedBy(books, aCapture(open));
  });
});

describe('capturing usage', () => {
  const rates = [aRate('scrape', '1.5', { unit: 'page' }), aRate('crawl', '2')];

  it('prices it by the rate card that was in effect when the hold was made', () => {
    const cards = [
      rateCard(1, instant(0), [aRate('scrape', '1')]),
      rateCard(2, after(NOW, HOUR), [aRate('scrape', '7'), aRate('new', '1')]),
    ];
    const books = wallet()
      .withLot('purchased', '100')
      .under({ ...policies(), rateCards: cards })
      .books();
    const id = aHold(books, '10', { lifeSeconds: 86_400 });
    books.moveTo(after(NOW, 2 * HOUR));
    expect(refusedBy(books, aCapture(id, { usage: [usageOf('new', '1')] }))).toMatchObject({ code: 'UNKNOWN_METER' });
    expect(postedBy(books, aCapture(id, { usage: [usageOf('scrape', '4')] })).transaction).toMatchObject({
      amount: credits('-4'),
      rateCardVersion: 1,
      lines: [{ meter: 'scrape', credits: credits('4') }],
    });
    const later = aHold(books, '10');
    expect(postedBy(books, aCapture(later, { usage: [usageOf('scrape', '1')] })).transaction).toMatchObject({
      amount: credits('-7'),
      rateCardVersion: 2,
    });
  });

  it('takes the lines of the hold where the whole of an untouched one is captured', () => {
    const books = wallet().withLot('purchased', '100').under(policies({ rates })).books();
    const id = aHold(books, '0', { usage: [usageOf('scrape', '2'), usageOf('crawl', '1')] });
    expect(postedBy(books, aCapture(id)).transaction).toMatchObject({
      amount: credits('-5'),
      rateCardVersion: 1,
      lines: [
        { meter: 'scrape', credits: credits('3') },
        { meter: 'crawl', credits: credits('2') },
      ],
    });
    expectSound(books);
  });

  it('has no lines where the rest of a hold is captured, of which something was captured before', () => {
    const books = wallet().withLot('purchased', '100').under(policies({ rates })).books();
    const id = aHold(books, '0', { usage: [usageOf('scrape', '2'), usageOf('crawl', '1')] });
    postedBy(books, aCapture(id, { usage: [usageOf('scrape', '1')], final: false }));
    expect(postedBy(books, aCapture(id)).transaction).toMatchObject({
      amount: credits('-3.5'),
      lines: [],
      rateCardVersion: null,
    });
    expectSound(books);
  });

  it('that costs nothing releases the whole hold', () => {
    const books = wallet()
      .withLot('purchased', '10')
      .under(policies({ rates: [aRate('read', '0')] }))
      .books();
    const id = aHold(books, '4');
    expect(postedBy(books, aCapture(id, { usage: [usageOf('read', '1')] })).transaction.amount).toBe(0n);
    expect(stateAt(books, id)).toMatchObject({ status: 'CAPTURED', captured: '0', remaining: '0' });
    expect([books.balance, books.available, books.entries]).toEqual([credits('10'), credits('10'), []]);
    expectSound(books);
  });
});

describe('capturing more than is left', () => {
  const rules = (overdraft = '0') =>
    policies({ rates: [aRate('scrape', '3', { unit: 'page' }), aRate('crawl', '2')], overdraft });
  const usage = [usageOf('scrape', '2'), usageOf('crawl', '1'), usageOf('crawl', '0.5')];

  it('with REJECT is refused with what it costs and what is held, and the hold stays open', () => {
    const books = wallet().withLot('purchased', '100').under(rules()).books();
    const id = aHold(books, '5');
    const before = stateOf(books);
    const held = stateAt(books, id);
    expect(refusedBy(books, aCapture(id, { key: 'c', amount: '5.000001' }))).toEqual({
      code: 'CAPTURE_EXCEEDS_HOLD',
      required: credits('5.000001'),
      held: credits('5'),
      replayed: false,
    });
    expect(stateOf(books)).toEqual(before);
    expect(stateAt(books, id)).toEqual(held);
    expect(books.transactions).toEqual([]);
    postedBy(books, aCapture(id, { amount: '5' }));
  });

  it('with CAP takes the rest and waives the remainder on the last lines, so that the lines add up', () => {
    const books = wallet().withLot('purchased', '100').under(rules()).books();
    const id = aHold(books, '7');
    const { transaction, hold } = postedBy(books, aCapture(id, { usage, overage: 'CAP' }));
    expect(transaction.amount).toBe(credits('-7'));
    expect(transaction.lines.map((line) => [formatCredits(line.credits), formatCredits(line.waived)])).toEqual([
      ['6', '0'],
      ['1', '1'],
      ['0', '1'],
    ]);
    expect(hold?.state).toMatchObject({ status: 'CAPTURED', captured: credits('7') });
    expect(books.available).toBe(credits('93'));
    expectSound(books);
  });

  it('with CAP counts what was captured before: it takes the rest of the hold, not its amount', () => {
    const books = wallet().withLot('purchased', '100').under(rules()).books();
    const id = aHold(books, '7');
    postedBy(books, aCapture(id, { amount: '5', final: false }));
    expect(postedBy(books, aCapture(id, { amount: '50', overage: 'CAP' })).transaction.amount).toBe(credits('-2'));
    expect(stateAt(books, id)).toMatchObject({ captured: '7', status: 'CAPTURED' });
    expectSound(books);
  });

  it('with DEBT takes what is held, then what is available, then debt, in this order', () => {
    const books = wallet().withLot('promotional', '5').withLot('purchased', '3').under(rules('10')).books();
    const id = aHold(books, '4');
    const { transaction, hold, available } = postedBy(books, aCapture(id, { usage, overage: 'DEBT' }));
    expect(movesOf(books)).toEqual([
      ['USAGE', '-4', 'id-00000001'],
      ['USAGE', '-1', 'id-00000001'],
      ['USAGE', '-3', 'id-00000002'],
      ['USAGE', '-1', null],
    ]);
    expect(transaction.amount).toBe(credits('-9'));
    expect(transaction.lines.every((line) => line.waived === 0n)).toBe(true);
    expect(hold?.state).toMatchObject({ status: 'CAPTURED', captured: credits('9'), remaining: 0n });
    expect([available, books.debt, books.balance]).toEqual([0n, credits('1'), credits('-1')]);
    expectSound(books);
  });

  it('with DEBT that needs none is covered by what is available, without an overdraft', () => {
    const books = wallet().withLot('purchased', '10').under(rules()).books();
    const id = aHold(books, '4');
    expect(postedBy(books, aCapture(id, { amount: '10', overage: 'DEBT' })).available).toBe(0n);
    expect(books.debt).toBe(0n);
    expectSound(books);
  });

  it('with DEBT beyond the overdraft is refused, and the hold stays open', () => {
    const books = wallet().withLot('purchased', '6').under(rules('2')).books();
    const id = aHold(books, '4');
    const before = stateOf(books);
    expect(refusedBy(books, aCapture(id, { amount: '8.000001', overage: 'DEBT' }))).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      required: credits('8.000001'),
      available: credits('2'),
      held: credits('4'),
    });
    expect(stateOf(books)).toEqual(before);
    expect(stateAt(books, id)).toMatchObject({ status: 'OPEN', captured: '0', remaining: '4' });
    postedBy(books, aCapture(id, { amount: '8', overage: 'DEBT' }));
    expect(books.debt).toBe(credits('2'));
    expectSound(books);
  });

  it('and not finally leaves an empty hold that goes on counting what is charged beyond it', () => {
    const books = wallet().withLot('purchased', '10').under(rules()).books();
    const id = aHold(books, '4');
    postedBy(books, aCapture(id, { amount: '5', final: false, overage: 'DEBT' }));
    postedBy(books, aCapture(id, { amount: '2', final: false, overage: 'DEBT' }));
    expect(stateAt(books, id)).toMatchObject({ status: 'OPEN', captured: '7', remaining: '0' });
    expect(books.available).toBe(credits('3'));
    expectSound(books);
  });
});

describe('releasing', () => {
  it('gives back what is left, without an entry, as one version', () => {
    const books = wallet().withLot('promotional', '3').withLot('purchased', '10').books();
    const id = aHold(books, '8');
    postedBy(books, aCapture(id, { amount: '2', final: false }));
    const [entries, changes] = [books.entries.length, books.changes.length];
    const { hold, available } = heldBy(books, aRelease(id));
    expect(hold.state).toMatchObject({ status: 'RELEASED', captured: credits('2'), remaining: 0n });
    expect(available).toBe(credits('11'));
    expect(books.entries).toHaveLength(entries);
    expect(changesOf(books, changes)).toEqual([['RELEASE', '6', '0']]);
    expectSound(books);
  });

  it('puts the credits back into their place in the burn order', () => {
    const books = wallet().withLot('promotional', '3').withLot('purchased', '10').loaded({ lotsPerBucket: 1 }).books();
    const id = aHold(books, '3');
    books.run(aRelease(id), aDebit('4'));
    expect(movesOf(books)).toEqual([
      ['USAGE', '-3', 'id-00000001'],
      ['USAGE', '-1', 'id-00000002'],
    ]);
    expectSound(books);
  });

  it('twice is refused the second time', () => {
    const books = wallet().withLot('purchased', '10').books();
    const id = aHold(books, '4');
    heldBy(books, aRelease(id));
    expect(refusedBy(books, aRelease(id))).toMatchObject({ code: 'HOLD_NOT_OPEN', status: 'RELEASED' });
    expect(refusedBy(books, anExtension(id, 3_600))).toMatchObject({ code: 'HOLD_NOT_OPEN', status: 'RELEASED' });
  });
});

describe('a hold that lapses', () => {
  const holding = (lifeSeconds = 60) => {
    const books = wallet().withLot('purchased', '10').books();
    return { books, id: aHold(books, '4', { lifeSeconds }), expiry: after(NOW, lifeSeconds * SECOND) };
  };

  it.each([
    ['a millisecond before', -1, true],
    ['at', 0, false],
    ['a millisecond after', 1, false],
  ])('is used %s its expiry: %s', (_name, offset, isOpen) => {
    for (const command of [aCapture, aRelease, (id: string) => anExtension(id, 600)]) {
      const { books, id, expiry } = holding();
      const outcome = books.moveTo(after(expiry, offset)).post(command(id));
      if (isOpen) expect(outcome.status).not.toBe('refused');
      else expect(outcome).toMatchObject({ refusal: { code: 'HOLD_NOT_OPEN', status: 'EXPIRED' } });
      expectSound(books);
    }
  });

  it('gives back what is left as of the instant it was due, before what touches the wallet', () => {
    const { books, id, expiry } = holding();
    postedBy(books, aCapture(id, { amount: '1', final: false }));
    const changes = books.changes.length;
    expect(books.moveTo(after(expiry, HOUR)).post(aDebit('9')).status).toBe('posted');
    expect(stateAt(books, id)).toMatchObject({ status: 'EXPIRED', captured: '1', remaining: '0' });
    expect(changesOf(books, changes)).toEqual([
      ['HOLD_EXPIRY', '3', '0'],
      ['USAGE', '-9', '0'],
    ]);
    expect(books.changes[changes]).toMatchObject({ occurredAt: expiry, transactionId: null });
    expectSound(books);
  });

  it('gives back once, however often the wallet is touched afterwards', () => {
    const { books, id, expiry } = holding();
    books.moveTo(expiry).post(aSettlement());
    const { version } = books;
    books.moveTo(after(expiry, 1)).run(aSettlement(), aSettlement(), aCapture(id), aRelease(id));
    expect([books.version, books.available, books.entries]).toEqual([version, credits('10'), []]);
    expect(books.nextTransitionAt).toBeNull();
  });

  it('after an hour without anybody is neither capturable nor counted', () => {
    const { books, id, expiry } = holding();
    books.moveTo(after(expiry, HOUR));
    expect(refusedBy(books, aCapture(id))).toMatchObject({ code: 'HOLD_NOT_OPEN', status: 'EXPIRED' });
    expect([books.held, books.available]).toEqual([0n, credits('10')]);
  });

  it('at the instant at which its lot expires lapses first: the lot expires whole, with one entry', () => {
    const books = wallet()
      .withLot('purchased', '10', { expiresAt: after(NOW, 60 * SECOND) })
      .books();
    aHold(books, '4', { lifeSeconds: 60 });
    books.moveTo(after(NOW, 60 * SECOND)).post(aSettlement());
    expect(movesOf(books)).toEqual([['EXPIRY', '-10', 'id-00000001']]);
    expect([books.balance, books.held]).toEqual([0n, 0n]);
    expectSound(books);
  });

  it('among others lapses in the order in which they were due', () => {
    const books = wallet().withLot('purchased', '10').books();
    for (const lifeSeconds of [30, 10, 20]) aHold(books, '1', { lifeSeconds });
    const changes = books.changes.length;
    books.moveTo(after(NOW, 60 * SECOND)).post(aSettlement());
    expect(books.changes.slice(changes).map(({ occurredAt }) => occurredAt - NOW)).toEqual([10_000, 20_000, 30_000]);
  });

  it('among a thousand lapses in bounded batches, each once, in order with what else is due', () => {
    const books = wallet()
      .withLot('promotional', '1000', { expiresAt: after(NOW, 1) })
      .withLot('purchased', '10', { expiresAt: after(NOW, 500 * SECOND) })
      .loaded({ dueLots: 100 })
      .books();
    const holds = Array.from({ length: 1_000 }, (_, n) => aHold(books, '1', { lifeSeconds: 1 + n }));
    books.moveTo(after(NOW, DAY));
    const last = holds.at(-1) ?? '';
    let rounds = 0;
    // The last one is named from the first batch on, long before its turn has come.
    while (books.post(aCapture(last)).status === 'busy') rounds += 1;
    expect(rounds).toBe(9);
    expect(new Set(holds.map((id) => stateAt(books, id).status))).toEqual(new Set(['EXPIRED']));
    expect(books.changes.filter(({ reasonCode }) => reasonCode === 'HOLD_EXPIRY')).toHaveLength(1_000);
    expect([books.balance, books.held]).toEqual([0n, 0n]);
    expectSound(books);
  });
});

describe('a lot that expires while it is pinned', () => {
  const expiry = after(NOW, 60 * SECOND);
  /** 10 credits, of which a hold has pinned 4 for longer than the lot lives; the lot has expired. */
  const expired = () => {
    const books = wallet().withLot('purchased', '10', { expiresAt: expiry }).books();
    const id = aHold(books, '4', { lifeSeconds: 3_600 });
    books.moveTo(after(expiry, 5 * SECOND)).post(aSettlement());
    return { books, id };
  };

  it('loses only what is not pinned', () => {
    const { books, id } = expired();
    expect(movesOf(books)).toEqual([['EXPIRY', '-6', 'id-00000001']]);
    expect([books.balance, books.available, books.held]).toEqual([credits('4'), 0n, credits('4')]);
    expect(stateAt(books, id)).toMatchObject({ status: 'OPEN', remaining: '4' });
    expectSound(books);
  });

  it('is captured from all the same', () => {
    const { books, id } = expired();
    expect(postedBy(books, aCapture(id)).transaction.amount).toBe(credits('-4'));
    expect(movesOf(books, 1)).toEqual([['USAGE', '-4', 'id-00000001']]);
    expect([books.balance, books.held]).toEqual([0n, 0n]);
    expectSound(books);
  });

  it.each([
    ['a final capture of less', (id: string) => aCapture(id, { amount: '1' }), '3'],
    ['a release', (id: string) => aRelease(id), '4'],
  ])('loses what %s gives back at once, with an entry of its own', (_name, command, returned) => {
    const { books, id } = expired();
    const outcome = books.post(command(id));
    expect(outcome).toMatchObject({ available: 0n });
    expect(movesOf(books).at(-1)).toEqual(['EXPIRY', `-${returned}`, 'id-00000001']);
    expect(books.transactions.at(-1)).toMatchObject({ kind: 'EXPIRY', effectiveAt: books.now });
    expect([books.balance, books.available, books.held]).toEqual([0n, 0n, 0n]);
    expectSound(books);
  });

  it('loses what a lapse gives back as of the lapse', () => {
    const { books } = expired();
    books.moveTo(after(NOW, 2 * HOUR)).post(aSettlement());
    expect(movesOf(books, 1)).toEqual([['EXPIRY', '-4', 'id-00000001']]);
    expect(books.transactions.at(-1)).toMatchObject({ kind: 'EXPIRY', effectiveAt: after(NOW, HOUR) });
    expect(books.balance).toBe(0n);
    expect(books.nextTransitionAt).toBeNull();
    expectSound(books);
  });

  it('keeps what another hold has pinned of it', () => {
    const books = wallet().withLot('purchased', '10', { expiresAt: expiry }).books();
    const [one, other] = [aHold(books, '4', { lifeSeconds: 3_600 }), aHold(books, '5', { lifeSeconds: 3_600 })];
    books.moveTo(expiry);
    heldBy(books, aRelease(one));
    expect(movesOf(books).map(([, amount]) => amount)).toEqual(['-1', '-4']);
    postedBy(books, aCapture(other));
    expect([books.balance, books.held]).toEqual([0n, 0n]);
    expectSound(books);
  });

  it('is not spent by overage: that takes what is available', () => {
    const { books, id } = expired();
    postedBy(books, aGrant('2', { bucket: 'promotional' }));
    expect(refusedBy(books, aCapture(id, { amount: '6.5', overage: 'DEBT' }))).toMatchObject({
      available: credits('2'),
    });
    postedBy(books, aCapture(id, { amount: '6', overage: 'DEBT' }));
    expect([books.balance, books.debt]).toEqual([0n, 0n]);
    expectSound(books);
  });
});

describe('a pinned lot that is frozen', () => {
  it('gives nothing to a capture, and gets back what the hold had pinned of it', () => {
    const books = wallet().withLot('promotional', '3').withLot('purchased', '10').books();
    const id = aHold(books, '5');
    books.freezeLot('id-00000001');
    const frozen = stateOf(books);
    expect(refusedBy(books, aCapture(id, { amount: '2.000001' }))).toMatchObject({
      code: 'CAPTURE_EXCEEDS_HOLD',
      held: credits('2'),
    });
    expect(stateOf(books)).toEqual(frozen);
    expect(postedBy(books, aCapture(id)).transaction.amount).toBe(credits('-2'));
    expect(movesOf(books)).toEqual([['USAGE', '-2', 'id-00000002']]);
    expect(stateAt(books, id)).toMatchObject({ status: 'CAPTURED', captured: '2', remaining: '0' });
    expect(books.lots.get('id-00000001')).toMatchObject({ remaining: credits('3'), pinned: 0n });
    expect(books.available).toBe(credits('8'));
    expectSound(books);
  });
});

describe('a hold of usage of which a part is frozen', () => {
  it('is captured with its lines, and what the freeze keeps from it is waived on the last of them', () => {
    const rates = [aRate('scrape', '1.5', { unit: 'page' }), aRate('crawl', '2')];
    const books = wallet().withLot('promotional', '1').withLot('purchased', '10').under(policies({ rates })).books();
    const id = aHold(books, '0', { usage: [usageOf('scrape', '2'), usageOf('crawl', '1')] });
    books.freezeLot('id-00000001');
    expect(postedBy(books, aCapture(id)).transaction).toMatchObject({
      amount: credits('-4'),
      rateCardVersion: 1,
      lines: [
        { meter: 'scrape', credits: credits('3'), waived: credits('0') },
        { meter: 'crawl', credits: credits('1'), waived: credits('1') },
      ],
    });
    expect(stateAt(books, id)).toMatchObject({ status: 'CAPTURED', captured: '4', remaining: '0' });
    expectSound(books);
  });
});

describe('extending', () => {
  const rules = policies({ maxHoldSeconds: 3_600, heldGraceSeconds: 600 });
  const holding = (lotLife: number | null = null) => {
    const expiresAt = lotLife === null ? null : after(NOW, lotLife * SECOND);
    const books = wallet().withLot('purchased', '10', { expiresAt }).under(rules).books();
    return { books, id: aHold(books, '4', { lifeSeconds: 60 }) };
  };

  it('lets it live until so many seconds from now, and changes nothing that can be spent', () => {
    const { books, id } = holding();
    books.moveTo(after(NOW, 30 * SECOND));
    const { version, sequence } = books;
    expect(heldBy(books, anExtension(id, 100)).hold.state).toEqual({
      status: 'OPEN',
      captured: 0n,
      remaining: credits('4'),
      expiresAt: after(NOW, 130 * SECOND),
    });
    expect([books.version, books.sequence]).toEqual([version, sequence]);
    expect(books.nextTransitionAt).toBe(after(NOW, 130 * SECOND));
    books.moveTo(after(NOW, 130 * SECOND - 1));
    expect(postedBy(books, aCapture(id)).available).toBe(credits('6'));
  });

  it('is bounded by the catalog over its whole life, from its making on', () => {
    const { books, id } = holding();
    books.moveTo(after(NOW, 10 * SECOND));
    const before = books.holdById(id);
    expect(refusedBy(books, anExtension(id, 3_591))).toMatchObject({
      code: 'INVALID_INPUT',
      path: ['expiresInSeconds'],
    });
    expect(books.holdById(id)).toEqual(before);
    expect(heldBy(books, anExtension(id, 3_590)).hold.state.expiresAt).toBe(after(NOW, HOUR));
  });

  it('is bounded by the expiry of each lot that it still pins, plus the grace', () => {
    const { books, id } = holding(100);
    expect(refusedBy(books, anExtension(id, 701)).code).toBe('INVALID_INPUT');
    expect(heldBy(books, anExtension(id, 700)).hold.state.expiresAt).toBe(after(NOW, 700 * SECOND));
  });

  it('does not count a lot of which nothing is pinned any more', () => {
    const books = wallet()
      .withLot('promotional', '1', { expiresAt: after(NOW, 100 * SECOND) })
      .withLot('purchased', '10')
      .under(rules)
      .books();
    const id = aHold(books, '4', { lifeSeconds: 60 });
    expect(refusedBy(books, anExtension(id, 701)).code).toBe('INVALID_INPUT');
    postedBy(books, aCapture(id, { amount: '1', final: false }));
    expect(heldBy(books, anExtension(id, 701)).hold.state.expiresAt).toBe(after(NOW, 701 * SECOND));
  });

  it('never shortens', () => {
    const { books, id } = holding();
    const before = books.holdById(id);
    expect(refusedBy(books, anExtension(id, 59))).toMatchObject({ code: 'INVALID_INPUT', path: ['expiresInSeconds'] });
    expect(books.holdById(id)).toEqual(before);
    expect(books.records.size).toBe(1);
  });
});

describe('a command on a hold, repeated under its key', () => {
  const books = () => wallet().withLot('purchased', '10').books();

  it('shows the hold as it was authorized, although it has been captured since', () => {
    const own = books();
    const first = heldBy(own, anAuthorization('4', { key: 'k' }));
    postedBy(own, aCapture(first.hold.facts.id));
    const before = stateOf(own);
    expect(own.post(anAuthorization('4', { key: 'k' }))).toEqual({
      status: 'replayed',
      answer: { hold: { id: first.hold.facts.id, ...first.hold.state } },
      available: credits('6'),
      availableNow: credits('6'),
    });
    expect(stateOf(own)).toEqual(before);
    expect(own.holds.size).toBe(1);
  });

  it('shows the hold as a capture left it, with the same transaction', () => {
    const own = books();
    const id = aHold(own, '4');
    const first = postedBy(own, aCapture(id, { key: 'k', amount: '1', final: false }));
    postedBy(own, aCapture(id));
    const before = stateOf(own);
    expect(own.post(aCapture(id, { key: 'k', amount: '1', final: false }))).toMatchObject({
      status: 'replayed',
      answer: {
        transactionId: first.transaction.id,
        hold: { id, status: 'OPEN', captured: credits('1'), remaining: credits('3') },
      },
      available: credits('6'),
    });
    expect(stateOf(own)).toEqual(before);
  });

  it('shows a release, and an extension, as they were answered first', () => {
    const own = books();
    const id = aHold(own, '4');
    const extended = heldBy(own, anExtension(id, 3_600, 'e'));
    heldBy(own, aRelease(id, 'r'));
    expect(own.post(anExtension(id, 3_600, 'e'))).toMatchObject({
      status: 'replayed',
      answer: { hold: { status: 'OPEN', expiresAt: extended.hold.state.expiresAt } },
    });
    expect(own.post(aRelease(id, 'r'))).toMatchObject({ status: 'replayed', answer: { hold: { status: 'RELEASED' } } });
  });

  it('is refused with another payload, and with another operation', () => {
    const own = books();
    const id = aHold(own, '4', { key: 'k' });
    const reused = { code: 'IDEMPOTENCY_KEY_REUSED', idempotencyKey: 'k' };
    for (const command of [
      anAuthorization('5', { key: 'k' }),
      aCapture(id, { key: 'k' }),
      aRelease(id, 'k'),
      aDebit('4', { key: 'k' }),
    ]) {
      expect(refusedBy(own, command)).toMatchObject(reused);
    }
    expect(stateAt(own, id).status).toBe('OPEN');
  });

  it('keeps a refusal for funds and one for an exceeded hold, whatever comes later', () => {
    const own = books();
    const id = aHold(own, '10');
    expect(refusedBy(own, anAuthorization('1', { key: 'a' }))).toMatchObject({ replayed: false, available: 0n });
    expect(refusedBy(own, aCapture(id, { key: 'c', amount: '11' }))).toMatchObject({ replayed: false });
    expect(refusedBy(own, aCapture(id, { key: 'd', amount: '11', overage: 'DEBT' }))).toMatchObject({
      replayed: false,
    });
    postedBy(own, aGrant('100'));
    expect(refusedBy(own, anAuthorization('1', { key: 'a' }))).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
      available: 0n,
      replayed: true,
    });
    expect(refusedBy(own, aCapture(id, { key: 'c', amount: '11' }))).toMatchObject({
      code: 'CAPTURE_EXCEEDS_HOLD',
      held: credits('10'),
      replayed: true,
    });
    expect(refusedBy(own, aCapture(id, { key: 'd', amount: '11', overage: 'DEBT' }))).toMatchObject({ replayed: true });
    postedBy(own, aCapture(id, { amount: '11', overage: 'DEBT' }));
  });

  it('stores nothing where it was refused for a hold that is not open', () => {
    const own = books();
    const id = aHold(own, '4');
    heldBy(own, aRelease(id));
    const records = own.records.size;
    for (const command of [aCapture(id), aRelease(id), anExtension(id, 3_600), aCapture('nowhere')]) {
      expect(['HOLD_NOT_OPEN', 'NOT_FOUND']).toContain(refusedBy(own, command).code);
    }
    expect(own.records.size).toBe(records);
  });
});
