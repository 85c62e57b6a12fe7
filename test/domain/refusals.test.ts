import { describe, expect, it } from 'vitest';
import { invalidInput, notFound } from '../../src/domain/plain-refusals.ts';
import { isRefusal, isSticky, type Refusal, type RefusalCode } from '../../src/domain/refusals.ts';
import { instant } from '../../src/domain/time/instant.ts';
import { credits } from '../support/builders-values.ts';

/** One of each, and whether a retry under the same key gets it again. */
const REFUSALS: Readonly<Record<RefusalCode, { readonly refusal: Refusal; readonly sticky: boolean }>> = {
  INSUFFICIENT_CREDITS: {
    refusal: {
      code: 'INSUFFICIENT_CREDITS',
      required: credits('2'),
      available: credits('1'),
      held: credits('0'),
      explanation: null,
    },
    sticky: true,
  },
  SPEND_LIMIT_REACHED: {
    refusal: {
      code: 'SPEND_LIMIT_REACHED',
      limitCode: 'daily_credit_cap_exceeded',
      limit: credits('5'),
      used: credits('4'),
      resetsAt: instant(0),
      spendLimitId: null,
      explanation: { walletId: 'w', rateCardVersion: null, lines: [], limits: [], lots: [] },
    },
    sticky: true,
  },
  ALLOCATION_EXHAUSTED: {
    refusal: {
      code: 'ALLOCATION_EXHAUSTED',
      allocationId: 'allocation',
      required: credits('2'),
      explanation: { walletId: 'wallet', rateCardVersion: null, lines: [], limits: [], lots: [] },
    },
    sticky: true,
  },
  PLAN_LIMIT_REACHED: {
    refusal: {
      code: 'PLAN_LIMIT_REACHED',
      key: 'seats',
      limit: 3,
      current: 3,
      resetsAt: null,
      explanation: null,
      upgradePlanKeys: ['team'],
    },
    sticky: true,
  },
  CAPTURE_EXCEEDS_HOLD: {
    refusal: { code: 'CAPTURE_EXCEEDS_HOLD', required: credits('2'), held: credits('1') },
    sticky: true,
  },
  HOLD_NOT_OPEN: { refusal: { code: 'HOLD_NOT_OPEN', status: 'RELEASED' }, sticky: false },
  REFUND_EXCEEDS_ORIGINAL: { refusal: { code: 'REFUND_EXCEEDS_ORIGINAL', refundable: credits('1') }, sticky: false },
  NOT_ATTEMPTED: { refusal: { code: 'NOT_ATTEMPTED' }, sticky: false },
  // The engine never refuses with it.
  PAYMENT_FAILED: { refusal: { code: 'PAYMENT_FAILED', declineCode: null }, sticky: false },
  INVALID_INPUT: { refusal: invalidInput(['amount'], 'must be more than 0'), sticky: false },
  NOT_FOUND: { refusal: notFound('organization'), sticky: false },
  UNKNOWN_METER: { refusal: { code: 'UNKNOWN_METER', meter: 'm', dimensions: null }, sticky: false },
  WALLET_FROZEN: { refusal: { code: 'WALLET_FROZEN' }, sticky: false },
  SUBSCRIPTION_REQUIRED: { refusal: { code: 'SUBSCRIPTION_REQUIRED', status: null }, sticky: false },
  IDEMPOTENCY_KEY_REUSED: { refusal: { code: 'IDEMPOTENCY_KEY_REUSED', idempotencyKey: 'k' }, sticky: false },
  INVALID_INCREMENT: {
    refusal: { code: 'INVALID_INCREMENT', increment: credits('10'), nearestBelow: null, nearestAbove: credits('10') },
    sticky: false,
  },
  CONFLICT: { refusal: { code: 'CONFLICT', currentState: 'PAID', reason: 'it is paid' }, sticky: false },
};

describe('refusals', () => {
  it.each(Object.values(REFUSALS))('$refusal.code is sticky: $sticky', ({ refusal, sticky }) => {
    expect(isSticky(refusal)).toBe(sticky);
  });

  it.each(Object.values(REFUSALS))('$refusal.code is told from a success', ({ refusal }) => {
    expect(isRefusal(refusal)).toBe(true);
  });

  it.each([{}, { total: 1n }, { code: 5 }, { code: null }])('%o is no refusal', (value) => {
    expect(isRefusal(value)).toBe(false);
  });

  it('say where and what', () => {
    expect(invalidInput(['usage', '0'], 'is wrong')).toEqual({
      code: 'INVALID_INPUT',
      path: ['usage', '0'],
      reason: 'is wrong',
    });
    expect(notFound('project')).toEqual({ code: 'NOT_FOUND', what: 'project' });
  });
});
