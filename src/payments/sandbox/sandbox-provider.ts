/**
 * The sandbox: a payment provider without money, built in as the default. Its checkout is a page with Pay, Decline and
 * Cancel; a checkout ends once, and what was paid can be refunded or disputed. It reports each as a real one would, by an
 * event signed with the Standard Webhooks scheme, and says it again whenever it is asked.
 *
 * Cards decide what becomes of a payment: the one that the payer picks at a checkout, or the one that the organization has
 * left here, where it is charged while nobody is there.
 */
import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import type { PurchaseNews } from '../../domain/purchases/purchase.ts';
import { isStorableText } from '../../domain/storable-text.ts';
import { instant } from '../../domain/time/instant.ts';
import { databaseNow } from '../../persistence/clock.ts';
import type { Sql } from '../../persistence/connection.ts';
import { findCard, keepCard, type SandboxCard } from '../../persistence/payments/sandbox-cards.ts';
import {
  awaitCheckout,
  disputeCheckout,
  findCheckout,
  findCheckoutOf,
  insertCharge,
  insertCheckout,
  judgeCheckout,
  refundCheckout,
  type SandboxCheckout,
  type SandboxOutcome,
  type SandboxStage,
  settleCheckout,
} from '../../persistence/payments/sandbox-checkouts.ts';
import { findPortal, type Portal } from '../../persistence/payments/sandbox-portal.ts';
import {
  type AskedPayment,
  type ChargeAnswer,
  type ChargeRequest,
  type CheckoutAnswer,
  type CheckoutRequest,
  type PaymentProvider,
  type PortalSession,
  type ProviderEvent,
  type RefundAnswer,
  type RefundRequest,
  UnverifiedEvent,
} from '../provider.ts';
import { CARDS, DEFAULT_CARD, declineCodeOf } from './cards.ts';
import { openedBy, portalToken } from './portal-token.ts';

export interface SandboxOptions {
  readonly sql: Sql;
  /** Base64; shared by every process of the installation. */
  readonly webhookSecret: string;
}

export interface SignedEvent {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What the buttons of a checkout's page do. */
export type SandboxAction =
  | 'pay'
  | 'confirm'
  | 'settle'
  | 'decline'
  | 'cancel'
  | 'refund'
  | 'dispute'
  | 'dispute-won'
  | 'dispute-lost';

/** The portal of an organization, and the card that is charged. */
export interface SandboxPortal extends Portal {
  readonly card: SandboxCard;
}

const PORTAL_LIFE_MILLISECONDS = 30 * 60_000;
/** How many payments the portal shows. */
const PORTAL_PAYMENTS = 50;
const TOKEN_BYTES = 32;
const eventBody = z.union([
  z.object({ purchaseId: z.uuid(), outcome: z.enum(['PAID', 'EXPIRED', 'REFUNDED']) }),
  z.object({
    purchaseId: z.uuid(),
    outcome: z.literal('FAILED'),
    declineCode: z.string().min(1).max(255).refine(isStorableText).optional(),
  }),
  z.object({
    purchaseId: z.uuid(),
    outcome: z.enum(['DISPUTE_OPENED', 'DISPUTE_WON', 'DISPUTE_LOST']),
    dispute: z.string().min(1).max(255).refine(isStorableText),
  }),
]);

export class SandboxProvider implements PaymentProvider {
  readonly name = 'sandbox';
  readonly #options: SandboxOptions;
  readonly #signer: Webhook;

  constructor(options: SandboxOptions) {
    this.#options = options;
    this.#signer = new Webhook(options.webhookSecret);
  }

  async createCheckout(request: CheckoutRequest): Promise<CheckoutAnswer> {
    const checkout = await insertCheckout(this.#options.sql, { ...request, token: newToken() });
    return { status: 'OPEN', reference: checkout.purchaseId, url: pageOf(checkout) };
  }

  async charge({ organizationId, ...request }: ChargeRequest): Promise<ChargeAnswer> {
    const { sql } = this.#options;
    const card = (await findCard(sql, organizationId)) ?? DEFAULT_CARD;
    const { charged } = CARDS[card];
    const charge = await insertCharge(sql, {
      ...request,
      token: newToken(),
      card,
      stage: charged === 'DELAY' ? 'UNDER_WAY' : 'OPEN',
      outcome: charged === 'DELAY' ? null : charged === 'PAY' ? 'PAID' : 'DECLINED',
      eventId: newEventId(),
    });
    const { purchaseId: reference, outcome } = charge;
    if (outcome === null) return { status: 'PENDING', reference, url: pageOf(charge) };
    if (outcome === 'PAID') return { status: 'PAID', reference };
    return { status: 'DECLINED', code: declineCodeOf(charge.card, charge.offSession) };
  }

  async lookUp({ purchaseId }: AskedPayment): Promise<PurchaseNews | null> {
    const checkout = await findCheckoutOf(this.#options.sql, purchaseId);
    return (checkout && newsOf(checkout).at(-1)?.news) ?? null;
  }

  async verifyEvent(headers: Readonly<Record<string, string>>, rawBody: string): Promise<ProviderEvent | null> {
    const event = eventBody.safeParse(this.#verified(headers, rawBody));
    if (!event.success) return null;
    return { id: headers['webhook-id'] ?? '', purchaseId: event.data.purchaseId, news: toldBy(event.data) };
  }

  async openPortal(organizationId: string): Promise<PortalSession> {
    const { sql, webhookSecret } = this.#options;
    const expiresAt = instant((await databaseNow(sql)) + PORTAL_LIFE_MILLISECONDS);
    return { url: `/portal/sandbox/${portalToken(webhookSecret, { organizationId, expiresAt })}`, expiresAt };
  }

  /** What the token opens; null where it opens nothing. */
  async portalOf(token: string): Promise<SandboxPortal | null> {
    const { sql } = this.#options;
    const organizationId = await this.#openedBy(token);
    if (organizationId === null) return null;
    const portal = await findPortal(sql, organizationId, this.name, PORTAL_PAYMENTS);
    return portal && { ...portal, card: (await findCard(sql, organizationId)) ?? DEFAULT_CARD };
  }

  /** Changes the card of the organization whose portal the token opens; false where it opens none. */
  async changeCard(token: string, card: SandboxCard): Promise<boolean> {
    const organizationId = await this.#openedBy(token);
    if (organizationId === null) return false;
    await keepCard(this.#options.sql, organizationId, card);
    return true;
  }

  async #openedBy(token: string): Promise<string | null> {
    const { sql, webhookSecret } = this.#options;
    return openedBy(webhookSecret, token, await databaseNow(sql));
  }

  #verified(headers: Readonly<Record<string, string>>, rawBody: string): unknown {
    try {
      return this.#signer.verify(rawBody, { ...headers });
    } catch (error) {
      throw new UnverifiedEvent('the event is not signed by the sandbox', { cause: error });
    }
  }

  find(token: string): Promise<SandboxCheckout | null> {
    return findCheckout(this.#options.sql, token);
  }

  async refund({ purchaseId }: RefundRequest): Promise<RefundAnswer> {
    const paid = await findCheckoutOf(this.#options.sql, purchaseId);
    const checkout = paid && (await this.act(paid.token, 'refund'));
    if (checkout?.refundEventId) return { status: 'REFUNDED' };
    return { status: 'DECLINED', code: checkout?.outcome === 'PAID' ? 'disputed' : 'not_paid' };
  }

  /** Pays an open checkout with a card, or without saying which. Null for an unknown token. */
  pay(token: string, card: SandboxCard | null): Promise<SandboxCheckout | null> {
    const { sql } = this.#options;
    const step = card === null ? 'PAY' : CARDS[card].atCheckout;
    if (card !== null && step === 'CONFIRM') return awaitCheckout(sql, token, card, 'CONFIRMING');
    if (card !== null && step === 'DELAY') return awaitCheckout(sql, token, card, 'UNDER_WAY');
    return this.#settle(token, step === 'DECLINE' ? 'DECLINED' : 'PAID', ['OPEN'], card);
  }

  /** Does what a button of the checkout's page says where it can still happen; null for an unknown token. */
  act(token: string, action: SandboxAction): Promise<SandboxCheckout | null> {
    const { sql } = this.#options;
    switch (action) {
      case 'pay':
        return this.pay(token, null);
      case 'confirm':
        return this.#settle(token, 'PAID', ['CONFIRMING']);
      case 'settle':
        return this.#settle(token, 'PAID', ['UNDER_WAY']);
      case 'decline':
        return this.#settle(token, 'DECLINED', ['OPEN', 'CONFIRMING', 'UNDER_WAY']);
      case 'cancel':
        return this.#settle(token, 'CANCELED', ['OPEN', 'CONFIRMING']);
      case 'refund':
        return refundCheckout(sql, token, newEventId());
      case 'dispute':
        return disputeCheckout(sql, token, newEventId());
      case 'dispute-won':
        return judgeCheckout(sql, token, 'WON', newEventId());
      case 'dispute-lost':
        return judgeCheckout(sql, token, 'LOST', newEventId());
      default: {
        const never: never = action;
        throw new Error(`unknown action ${never}`);
      }
    }
  }

  #settle(
    token: string,
    outcome: SandboxOutcome,
    from: readonly SandboxStage[],
    card: SandboxCard | null = null,
  ): Promise<SandboxCheckout | null> {
    return settleCheckout(this.#options.sql, token, { outcome, from, card, eventId: newEventId() });
  }

  /** The signed events that tell all that has happened to a checkout, in this order. */
  eventsOf(checkout: SandboxCheckout): readonly SignedEvent[] {
    const { purchaseId } = checkout;
    return newsOf(checkout).map(({ eventId, news: { kind: outcome, ...details } }) =>
      this.#signed(eventId, { purchaseId, outcome, ...details }),
    );
  }

  #signed(eventId: string, payload: object): SignedEvent {
    const sentAt = new Date();
    const body = JSON.stringify(payload);
    return {
      body,
      headers: {
        'webhook-id': eventId,
        'webhook-timestamp': Math.floor(sentAt.getTime() / 1000).toString(),
        'webhook-signature': this.#signer.sign(eventId, sentAt, body),
      },
    };
  }
}

function toldBy(event: z.infer<typeof eventBody>): PurchaseNews {
  if ('dispute' in event) return { kind: event.outcome, dispute: event.dispute };
  if (event.outcome === 'FAILED') return { kind: event.outcome, declineCode: event.declineCode ?? null };
  return { kind: event.outcome };
}

const newToken = (): string => randomBytes(TOKEN_BYTES).toString('base64url');
const newEventId = (): string => `evt_${randomBytes(16).toString('hex')}`;
const pageOf = ({ token }: SandboxCheckout): string => `/checkout/sandbox/${token}`;

interface ToldNews {
  readonly eventId: string;
  readonly news: PurchaseNews;
}

/** All that has happened to a checkout, in this order: the last says all that must have happened before it. */
function newsOf(checkout: SandboxCheckout): readonly ToldNews[] {
  const { purchaseId, verdict } = checkout;
  const dispute = `dp_${purchaseId}`;
  const told: readonly (readonly [string | null, PurchaseNews | null])[] = [
    [checkout.eventId, outcomeNews(checkout)],
    [checkout.disputeEventId, { kind: 'DISPUTE_OPENED', dispute }],
    [checkout.verdictEventId, verdict && { kind: `DISPUTE_${verdict}`, dispute }],
    [checkout.refundEventId, { kind: 'REFUNDED' }],
  ];
  return told.flatMap(([eventId, news]) => (eventId === null || news === null ? [] : [{ eventId, news }]));
}

function outcomeNews({ outcome, card, offSession }: SandboxCheckout): PurchaseNews | null {
  switch (outcome) {
    case null:
      return null;
    case 'PAID':
      return { kind: 'PAID' };
    case 'DECLINED':
      return { kind: 'FAILED', declineCode: declineCodeOf(card, offSession) };
    case 'CANCELED':
      return { kind: 'EXPIRED' };
  }
}
