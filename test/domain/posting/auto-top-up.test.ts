/** Top-ups that begin by themselves: one per crossing, one at a time, bounded by declines, by the month and by what is on sale. */
import { describe, expect, it } from 'vitest';
import { isRefusal } from '../../../src/domain/refusals.ts';
import { formatInstant } from '../../../src/domain/time/instant.ts';
import { expectSound } from '../../support/builders-audit.ts';
import { aWallet, type Books, policies, type WalletBuilder } from '../../support/builders-books.ts';
import {
  type AutoTopUpOptions,
  aCapture,
  aCollection,
  aDebit,
  aDebitOf,
  aGrant,
  anAuthorization,
  aResolution,
  aRevocation,
  aSettlement,
  aTopUpConfiguration,
  someEvents,
} from '../../support/builders-commands.ts';
import { after, aRate, at, credits, usageOf } from '../../support/builders-values.ts';

const NOW = at('2026-03-10T12:00:00');
const MINUTE = 60_000;

const USD = (amountMinor: bigint) => ({ amountMinor, currency: 'USD' });
const STARTER = {
  key: 'starter',
  name: 'Starter',
  price: USD(1_000n),
  credits: credits('1000'),
  bonusCredits: credits('50'),
  bucketKey: 'purchased',
  expiresAfterDays: 365,
};
const SMALL = {
  ...STARTER,
  key: 'small',
  name: 'Small',
  price: USD(10n),
  credits: credits('1'),
  bonusCredits: credits('0'),
};
const FREE = { ...STARTER, key: 'free', price: USD(0n) };
const sales = (packages = [STARTER, SMALL, FREE], topUp: { increment: string; minor: bigint } | null = null) =>
  policies({
    rates: [aRate('read', '0')],
    topUpSales: {
      packages: new Map(packages.map((offer) => [offer.key, offer])),
      plans: new Map([
        [
          'plan',
          {
            name: 'Plan',
            topUp: topUp && { increment: credits(topUp.increment), unitPrice: USD(topUp.minor) },
          },
        ],
      ]),
      bucket: { key: 'purchased', expiresAfterDays: null },
    },
  });

/** A wallet with 100 credits that tops itself up below 50 with 1,050 for 10.00 USD. */
function aToppedWallet(
  options: AutoTopUpOptions = {},
  wallet: WalletBuilder = aWallet().withLot('purchased', '100'),
): Books {
  const books = wallet.at(NOW).under(sales()).books();
  expect(books.post(aTopUpConfiguration({ threshold: '50', packageKey: 'starter', ...options }))).toEqual({
    status: 'auto-top-up-configured',
  });
  return books;
}

/** Collects, and answers the purchases that are to be charged. */
function collect(books: Books): readonly string[] {
  const outcome = books.post(aCollection());
  if (outcome.status !== 'collecting') throw new Error(outcome.status);
  const unanswered = books.begun.filter(({ id }) => books.purchases.get(id)?.facts.status === 'PENDING');
  return unanswered.map(({ id }) => id);
}

/** The one purchase that collecting begins. */
function begun(books: Books): string {
  const [id, ...others] = collect(books);
  expect(others).toEqual([]);
  if (id === undefined) throw new Error('nothing was begun');
  return id;
}

function decline(books: Books, purchaseId: string, declineCode: string | null = 'card_declined'): void {
  books.post({ ...aResolution(purchaseId, 'FAILED'), news: { kind: 'FAILED', declineCode } });
}

const nextCharge = (books: Books): string | null => books.nextChargeAt && formatInstant(books.nextChargeAt);

describe('falling below the threshold', () => {
  it('makes a top-up wanted in the same posting, which begins nothing', () => {
    const books = aToppedWallet();
    books.post(aDebit('50'));
    expect(books.autoTopUp?.wantedAt).toBeNull();
    expect(books.nextChargeAt).toBeNull();
    books.post(aDebit('0.000001'));
    expect(books.autoTopUp?.wantedAt).toBe(NOW);
    expect(nextCharge(books)).toBe('2026-03-10T12:00:00.000Z');
    expect(books.begun).toEqual([]);
  });

  it('by many debits of one batch or of several makes one', () => {
    const books = aToppedWallet();
    books.run(...Array.from({ length: 50 }, () => aDebit('1.5')));
    books.run(...Array.from({ length: 10 }, () => aDebit('1')));
    const id = begun(books);
    books.post(aDebit('1'));
    expect(collect(books)).toEqual([id]);
    expect(books.begun).toHaveLength(1);
  });

  it.each([
    ['a hold', (books: Books) => books.post(anAuthorization('60'))],
    ['events', (books: Books) => books.post(someEvents('EACH', [aDebit('30'), aDebit('30')]))],
  ])('by %s counts', (_what, take) => {
    const books = aToppedWallet();
    take(books);
    expect(books.autoTopUp?.wantedAt).toBe(NOW);
  });

  it('by an expiry is left to the next who spends', () => {
    const expiring = aWallet()
      .withLot('purchased', '10')
      .withLot('promotional', '90', { expiresAt: after(NOW, MINUTE) });
    const books = aToppedWallet({}, expiring);
    books.moveTo(after(NOW, MINUTE)).post(aSettlement());
    expect(books.available).toBe(credits('10'));
    expect(books.autoTopUp?.wantedAt).toBeNull();
    books.post(aDebit('1'));
    expect(books.autoTopUp?.wantedAt).toBe(after(NOW, MINUTE));
  });

  it('by a capture beyond its hold counts, by one within it does not: the hold has counted', () => {
    const books = aToppedWallet();
    books.post(anAuthorization('10'));
    books.post(aCapture([...books.holds.keys()][0] ?? '', { amount: '10' }));
    expect(books.autoTopUp?.wantedAt).toBeNull();
    books.post(anAuthorization('1'));
    books.post(aCapture([...books.holds.keys()][1] ?? '', { amount: '45', overage: 'DEBT' }));
    expect(books.autoTopUp?.wantedAt).toBe(NOW);
  });

  it('by what is taken back does not count', () => {
    const books = aToppedWallet({}, aWallet().withLot('promotional', '100'));
    const [lot] = [...books.lots.keys()];
    books.post(aRevocation(lot ?? ''));
    expect(books.available).toBe(0n);
    expect(books.autoTopUp?.wantedAt).toBeNull();
  });

  it('is needed for another: work that costs nothing wants none', () => {
    const books = aToppedWallet({ packageKey: 'small' });
    books.post(aDebit('60'));
    books.post(aResolution(begun(books), 'PAID'));
    expect(books.post(aDebitOf([usageOf('read', '1')]))).toMatchObject({ status: 'posted' });
    expect(books.autoTopUp?.wantedAt).toBeNull();
  });

  it('and being refused a charge for want of credits makes one wanted too', () => {
    const books = aToppedWallet({ packageKey: 'small' });
    books.post(aDebit('100'));
    books.post(aResolution(begun(books), 'PAID'));
    expect(books.autoTopUp?.wantedAt).toBeNull();
    expect(books.post(aDebit('20'))).toMatchObject({ status: 'refused' });
    expect(books.autoTopUp?.wantedAt).toBe(NOW);
  });

  it('never fires where it is switched off, or where nobody configured it', () => {
    const off = aToppedWallet({ enabled: false });
    off.post(aDebit('100'));
    expect(off.autoTopUp?.wantedAt).toBeNull();
    expect(collect(off)).toEqual([]);
    const never = aWallet().under(sales()).withLot('purchased', '100').books();
    never.post(aDebit('100'));
    expect(never.autoTopUp).toBeNull();
    expect(collect(never)).toEqual([]);
  });
});

describe('collecting', () => {
  it('begins the purchase as the catalog in force sells it', () => {
    const books = aToppedWallet();
    books.post(aDebit('60'));
    const id = begun(books);
    expect(books.begun).toEqual([
      {
        id,
        organizationId: 'organization-1',
        kind: 'AUTO_TOP_UP',
        description: 'Starter: 1050 credits, 50 of them bonus',
        packageKey: 'starter',
        catalogVersion: 1,
        credits: credits('1000'),
        bonusCredits: credits('50'),
        bucketKey: 'purchased',
        expiresAfterDays: 365,
        price: USD(1_000n),
        provider: 'sandbox',
        isOffSession: true,
        plan: null,
        actor: { kind: 'SYSTEM', id: 'purser' },
        createdAt: NOW,
      },
    ]);
    expect(books.nextChargeAt).toBeNull();
    books.post(aResolution(id, 'PAID'));
    expect(books.available).toBe(credits('1090'));
    expect(books.autoTopUp).toMatchObject({ purchaseId: null, wantedAt: null, failedAttempts: 0 });
    expect(collect(books)).toEqual([]);
    expectSound(books);
  });

  it('buys credits in the increments of the plan', () => {
    const books = aWallet()
      .at(NOW)
      .under(sales([], { increment: '10', minor: 7n }))
      .withLot('purchased', '100')
      .books();
    books.post(aTopUpConfiguration({ threshold: '50', credits: '30' }));
    books.post(aDebit('60'));
    begun(books);
    expect(books.begun).toMatchObject([
      {
        packageKey: null,
        description: 'Top-up: 30 credits',
        credits: credits('30'),
        price: USD(21n),
        expiresAfterDays: null,
      },
    ]);
  });

  it('buys nothing where enough can be spent again', () => {
    const books = aToppedWallet();
    books.run(aDebit('60'), aGrant('10'));
    expect(collect(books)).toEqual([]);
    expect(books.autoTopUp?.wantedAt).toBeNull();
    books.post(aDebit('1'));
    expect(collect(books)).toHaveLength(1);
  });

  it('waits for the next debit where less than the threshold is left after it', () => {
    const books = aToppedWallet({ packageKey: 'small' });
    books.post(aDebit('60'));
    books.post(aResolution(begun(books), 'PAID'));
    expect(collect(books)).toEqual([]);
    books.post(aDebit('1'));
    expect(collect(books)).toHaveLength(1);
    expect(books.begun).toHaveLength(2);
  });

  it('begins nothing on a frozen wallet and loses nothing by it', () => {
    const books = aToppedWallet();
    books.post(aDebit('60'));
    books.frozen = true;
    expect(collect(books)).toEqual([]);
    books.frozen = false;
    const id = begun(books);
    books.frozen = true;
    expect(books.post(aResolution(id, 'PAID'))).toMatchObject({
      status: 'refused',
      refusal: { code: 'WALLET_FROZEN' },
    });
    expect(books.autoTopUp?.purchaseId).toBe(id);
    books.frozen = false;
    books.post(aResolution(id, 'PAID'));
    expect(books.available).toBe(credits('1090'));
  });

  it('waits where there is no subscription to spend by, for the first charge under another', () => {
    const books = aToppedWallet();
    books.post(aDebit('60'));
    books.status = 'CANCELED';
    expect(collect(books)).toEqual([]);
    expect(books.autoTopUp).toMatchObject({ suspendedReason: null, wantedAt: null });
    books.status = 'ACTIVE';
    books.post(aDebit('1'));
    expect(collect(books)).toHaveLength(1);
  });

  it('is suspended where its package is no longer on sale or has another currency', () => {
    const wanting = (changed: (typeof STARTER)[]) => {
      const books = aToppedWallet();
      books.post(aDebit('60'));
      const later = Object.assign(aWallet().at(NOW).under(sales(changed)).withLot('purchased', '40').books(), {
        autoTopUp: books.autoTopUp,
      });
      expect(collect(later)).toEqual([]);
      return later.autoTopUp?.suspendedReason;
    };
    expect(wanting([])).toBe('the package starter is no longer on sale');
    expect(wanting([{ ...STARTER, price: { amountMinor: 1_000n, currency: 'EUR' } }])).toBe(
      'it is sold in EUR now, and the ceiling is in USD',
    );
  });
});

describe('declines', () => {
  it('are followed by a minute, then ten, then a suspension that tells why', () => {
    const books = aToppedWallet();
    books.post(aDebit('60'));
    decline(books, begun(books));
    expect(nextCharge(books)).toBe('2026-03-10T12:01:00.000Z');
    books.moveTo(after(NOW, MINUTE - 1)).post(aDebit('1'));
    expect(collect(books)).toEqual([]);
    decline(books.moveTo(after(NOW, MINUTE)), begun(books));
    expect(nextCharge(books)).toBe('2026-03-10T12:11:00.000Z');
    decline(books.moveTo(after(NOW, 11 * MINUTE)), begun(books), 'insufficient_funds');
    expect(books.nextChargeAt).toBeNull();
    expect(books.autoTopUp).toMatchObject({
      suspendedReason: 'the payment was declined 3 times in a row, the last time with insufficient_funds',
      wantedAt: null,
      purchaseId: null,
    });
    books.moveTo(after(NOW, 60 * MINUTE)).run(...Array.from({ length: 20 }, () => aDebit('1')));
    expect(collect(books)).toEqual([]);
    expect(books.begun).toHaveLength(3);
  });

  it('are forgotten once one is paid', () => {
    const books = aToppedWallet({ packageKey: 'small' });
    books.post(aDebit('60'));
    decline(books, begun(books));
    decline(books.moveTo(after(NOW, MINUTE)), begun(books));
    books.moveTo(after(NOW, 11 * MINUTE)).post(aResolution(begun(books), 'PAID'));
    expect(books.autoTopUp).toMatchObject({ failedAttempts: 0, nextAttemptAt: null, suspendedReason: null });
    books.post(aDebit('1'));
    decline(books, begun(books));
    expect(nextCharge(books)).toBe('2026-03-10T12:12:00.000Z');
  });

  it('told twice or late count once', () => {
    const books = aToppedWallet();
    books.post(aDebit('60'));
    const first = begun(books);
    decline(books, first);
    decline(books, first);
    expect(books.autoTopUp?.failedAttempts).toBe(1);
    const second = begun(books.moveTo(after(NOW, MINUTE)));
    decline(books, first);
    expect(books.autoTopUp).toMatchObject({ purchaseId: second, failedAttempts: 1 });
  });

  it('are bounded also where the means of payment answers nothing more than no', () => {
    const books = aToppedWallet();
    books.post(aDebit('60'));
    for (const minutes of [0, 1, 11]) decline(books.moveTo(after(NOW, minutes * MINUTE)), begun(books), null);
    expect(books.autoTopUp?.suspendedReason).toBe('the payment was declined 3 times in a row');
  });

  it('end with being configured again, which begins one at once where it is needed', () => {
    const books = aToppedWallet();
    books.post(aDebit('60'));
    for (const minutes of [0, 1, 11]) decline(books.moveTo(after(NOW, minutes * MINUTE)), begun(books));
    books.post(aTopUpConfiguration());
    expect(books.autoTopUp).toMatchObject({ failedAttempts: 0, suspendedReason: null, wantedAt: books.now });
    books.post(aResolution(begun(books), 'PAID'));
    expect(books.available).toBe(credits('1090'));
  });

  it('of one in flight want no other where it was switched off meanwhile', () => {
    const books = aToppedWallet();
    books.post(aDebit('60'));
    const id = begun(books);
    books.post(aTopUpConfiguration({ enabled: false }));
    expect(collect(books)).toEqual([id]);
    decline(books, id);
    expect(books.autoTopUp).toMatchObject({ purchaseId: null, wantedAt: null });
    expect(collect(books)).toEqual([]);
  });
});

describe('the ceiling of a month', () => {
  it('lets the last top-up in that it has room for, and holds the next until the month ends', () => {
    const books = aToppedWallet(
      { packageKey: 'small', monthlyCeilingMinor: 29n },
      aWallet().withLot('purchased', '51'),
    );
    books.post(aDebit('10'));
    for (const _ of [1, 2]) {
      books.post(aResolution(begun(books), 'PAID'));
      books.post(aDebit('1'));
    }
    expect(collect(books)).toEqual([]);
    expect(nextCharge(books)).toBe('2026-04-01T00:00:00.000Z');
    expect(books.autoTopUp).toMatchObject({ suspendedReason: null, ceilingUntil: at('2026-04-01T00:00:00') });
    books.moveTo(at('2026-03-31T23:59:59')).post(aDebit('1'));
    expect(collect(books)).toEqual([]);
    expect(collect(books.moveTo(at('2026-04-01T00:00:00')))).toHaveLength(1);
    expect(books.begun).toHaveLength(3);
  });

  it('counts what is declined as nothing', () => {
    const books = aToppedWallet({ monthlyCeilingMinor: 1_000n });
    books.post(aDebit('60'));
    decline(books, begun(books));
    expect(collect(books.moveTo(after(NOW, MINUTE)))).toHaveLength(1);
  });

  it('is lifted by a higher one', () => {
    const books = aToppedWallet({ packageKey: 'small', monthlyCeilingMinor: 10n });
    books.post(aDebit('60'));
    books.post(aResolution(begun(books), 'PAID'));
    books.post(aDebit('1'));
    expect(collect(books)).toEqual([]);
    books.post(aTopUpConfiguration({ monthlyCeilingMinor: 20n }));
    expect(collect(books)).toHaveLength(1);
  });
});

describe('configuring', () => {
  const refusalOf = (options: AutoTopUpOptions, { under = sales(), configured = false } = {}) => {
    const books = aWallet().at(NOW).under(under).withLot('purchased', '100').books();
    if (configured) books.post(aTopUpConfiguration({ threshold: '50', packageKey: 'starter' }));
    const before = books.autoTopUp;
    const outcome = books.post(aTopUpConfiguration(options));
    if (outcome.status !== 'refused' || !isRefusal(outcome.refusal)) throw new Error(outcome.status);
    expect(books.autoTopUp).toBe(before);
    return outcome.refusal;
  };

  it('sets what is given and keeps the rest, with a ceiling of ten top-ups at first', () => {
    const books = aToppedWallet();
    expect(books.autoTopUp).toMatchObject({
      enabled: true,
      threshold: credits('50'),
      choice: { packageKey: 'starter', credits: null },
      ceiling: USD(10_000n),
    });
    books.post(aTopUpConfiguration({ enabled: false }));
    books.post(aTopUpConfiguration({ threshold: '10', packageKey: 'small', monthlyCeilingMinor: 500n }));
    books.post(aTopUpConfiguration({ packageKey: 'small' }));
    expect(books.autoTopUp).toMatchObject({ enabled: true, threshold: credits('10'), ceiling: USD(500n) });
    expect(books.audits.map(({ action, after: settings }) => [action, settings])).toEqual([
      ['configureAutoTopUp', { enabled: true, threshold: '50', packageKey: 'starter', monthlyCeiling: '100.00 USD' }],
      ['configureAutoTopUp', { enabled: false, threshold: '50', packageKey: 'starter', monthlyCeiling: '100.00 USD' }],
      ['configureAutoTopUp', { enabled: true, threshold: '10', packageKey: 'small', monthlyCeiling: '5.00 USD' }],
      ['configureAutoTopUp', { enabled: true, threshold: '10', packageKey: 'small', monthlyCeiling: '5.00 USD' }],
    ]);
  });

  it('begins nothing twice: what is wanted or in flight stays so', () => {
    const books = aToppedWallet();
    books.post(aDebit('60'));
    const id = begun(books);
    books.post(aTopUpConfiguration({ packageKey: 'small' }));
    expect(books.autoTopUp).toMatchObject({ purchaseId: id, wantedAt: null });
    expect(collect(books)).toEqual([id]);
  });

  it.each<[string, AutoTopUpOptions, string[], boolean]>([
    ['nothing to buy at first', { threshold: '50' }, ['packageId'], false],
    ['no threshold at first', { packageKey: 'starter' }, ['threshold'], false],
    ['switching off what was never configured', { enabled: false }, ['packageId'], false],
    ['a package for nothing', { threshold: '50', packageKey: 'free' }, ['packageId'], false],
    ['a ceiling below one', { monthlyCeilingMinor: 999n }, ['monthlyCeilingMinor'], true],
    ['credits on a plan without top-ups', { credits: '10' }, ['credits'], true],
  ])('refuses %s', (_what, options, path, configured) => {
    expect(refusalOf(options, { configured })).toMatchObject({ code: 'INVALID_INPUT', path });
  });

  it('refuses a package that is not on sale, and credits between the increments, which it names', () => {
    expect(refusalOf({ threshold: '50', packageKey: 'gone' })).toEqual({ code: 'NOT_FOUND', what: 'package' });
    const under = sales([], { increment: '10', minor: 7n });
    expect(refusalOf({ threshold: '50', credits: '15' }, { under })).toEqual({
      code: 'INVALID_INPUT',
      path: ['credits'],
      reason: 'must be a whole multiple of 10 credits',
    });
  });

  it('keeps a ceiling only where it pays for one top-up of what is bought now', () => {
    const books = aToppedWallet({ packageKey: 'small', monthlyCeilingMinor: 10n });
    expect(books.post(aTopUpConfiguration({ packageKey: 'starter' }))).toMatchObject({
      refusal: { path: ['monthlyCeilingMinor'], reason: 'must be at least 1000: one top-up costs 10.00 USD' },
    });
  });

  it('switches off also what is no longer on sale', () => {
    const { autoTopUp } = aToppedWallet();
    const later = Object.assign(aWallet().at(NOW).under(sales([])).books(), { autoTopUp });
    expect(later.post(aTopUpConfiguration({ enabled: false }))).toEqual({ status: 'auto-top-up-configured' });
    expect(later.autoTopUp?.enabled).toBe(false);
  });
});
