/** What events of Stripe say that a gateway's answer does not show. */
import type Stripe from 'stripe';
import { describe, expect, it } from 'vitest';
import { toldByEvent } from '../../src/payments/stripe/told-by-event.ts';

const told = (type: string, object: object) => toldByEvent({ type, data: { object } } as unknown as Stripe.Event);

describe('somebody is told', () => {
  it('of a refund in part, which takes no credits', () => {
    expect(told('charge.refunded', { refunded: false, payment_intent: 'pi_1' })).toEqual({
      warning: expect.stringContaining('in part'),
      paymentIntent: 'pi_1',
    });
  });

  it('of a refund that has failed', () => {
    expect(told('refund.failed', { payment_intent: { id: 'pi_1' } })).toEqual({
      warning: expect.stringContaining('did not go back'),
      paymentIntent: 'pi_1',
    });
  });
});

describe('a dispute', () => {
  it.each([
    ['needs_response', 'DISPUTE_OPENED'],
    ['under_review', 'DISPUTE_OPENED'],
    ['warning_needs_response', 'DISPUTE_OPENED'],
    ['warning_under_review', 'DISPUTE_OPENED'],
    ['a_status_to_come', 'DISPUTE_OPENED'],
    ['won', 'DISPUTE_WON'],
    ['warning_closed', 'DISPUTE_WON'],
    ['lost', 'DISPUTE_LOST'],
    ['prevented', 'DISPUTE_LOST'],
  ])('that is %s when told of is %s, whichever event tells', (status, kind) => {
    const object = { id: 'dp_1', status, metadata: {}, payment_intent: 'pi_1' };
    for (const type of ['charge.dispute.created', 'charge.dispute.closed']) {
      expect(told(type, object)).toEqual({ news: { kind, dispute: 'dp_1' }, metadata: {}, paymentIntent: 'pi_1' });
    }
  });
});

describe('a checkout that completes', () => {
  it.each(['paid', 'no_payment_required'])('%s is a payment', (payment_status) => {
    const object = { payment_status, metadata: { purchaseId: 'x' }, payment_intent: null };
    expect(told('checkout.session.completed', object)).toMatchObject({ news: { kind: 'PAID' } });
  });

  it('unpaid says nothing yet', () => {
    expect(told('checkout.session.completed', { payment_status: 'unpaid', payment_intent: null })).toBeNull();
  });
});

describe('a payment', () => {
  const types = ['payment_intent.succeeded', 'payment_intent.payment_failed', 'payment_intent.canceled'] as const;

  it('that nobody was there to make tells what has become of it, and why it was declined', () => {
    const metadata = { purchaseId: 'x', offSession: 'true' };
    const error = { code: 'card_declined', decline_code: 'insufficient_funds' };
    const intent = { id: 'pi_1', metadata, last_payment_error: error };
    const failed = { kind: 'FAILED', declineCode: 'insufficient_funds' };
    expect(types.map((type) => told(type, intent))).toEqual(
      [{ kind: 'PAID' }, failed, failed].map((news) => ({ news, reference: 'pi_1', metadata, paymentIntent: 'pi_1' })),
    );
  });

  it.each([
    [{ code: 'authentication_required', decline_code: null }, 'authentication_required'],
    [null, null],
  ])('that failed for %j has the reason %s', (last_payment_error, declineCode) => {
    const intent = { id: 'pi_1', metadata: { offSession: 'true' }, last_payment_error };
    expect(told('payment_intent.payment_failed', intent)).toMatchObject({ news: { kind: 'FAILED', declineCode } });
  });

  it('of a checkout says nothing: its session does', () => {
    const intent = { id: 'pi_1', metadata: { purchaseId: 'x' }, last_payment_error: null };
    expect(types.map((type) => told(type, intent))).toEqual([null, null, null]);
  });
});
