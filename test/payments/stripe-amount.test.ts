/** What Stripe is told to charge is what people read: `formatMoney` and Stripe's documentation of its units agree. */
import { describe, expect, it } from 'vitest';
import { formatMoney } from '../../src/domain/money/format-money.ts';
import { stripeAmount } from '../../src/payments/stripe/stripe-amount.ts';

describe('an amount at Stripe', () => {
  it.each([
    ['USD', 4500n, '45.00 USD', 4500],
    ['EUR', 1n, '0.01 EUR', 1],
    ['JPY', 500n, '500 JPY', 500],
    ['KRW', 1000n, '1000 KRW', 1000],
    // No fraction for people, hundredths for Stripe.
    ['HUF', 9990n, '9990 HUF', 999_000],
    ['COP', 20_000n, '20000 COP', 2_000_000],
    ['ISK', 5n, '5 ISK', 500],
    ['UGX', 5n, '5 UGX', 500],
    ['KWD', 5120n, '5.120 KWD', 5120],
    ['USD', 0n, '0.00 USD', 0],
  ])('in %s, %d minor units: %s', (currency, amountMinor, read, charged) => {
    expect(formatMoney({ amountMinor, currency })).toBe(read);
    expect(stripeAmount(amountMinor, currency)).toBe(charged);
  });

  it.each([
    ['5.124 KWD, whose last digit must be 0', 5124n, 'KWD'],
    ['0.001 LYD, of which Stripe knows no thousandths', 1n, 'LYD'],
    ['more than a number can say', 9_007_199_254_740_993n, 'USD'],
    ['more than a number can say once it is in hundredths', 999_999_999_999_999n, 'HUF'],
  ])('is none for %s', (_what, amountMinor, currency) => {
    expect(stripeAmount(amountMinor, currency)).toBeNull();
  });
});
