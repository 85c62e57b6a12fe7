/**
 * The sandbox: a payment provider without money, built in as the default. Its checkout is a page with Pay, Decline and
 * Cancel; a checkout ends once, and what was paid can be refunded or disputed. It reports each as a real one would, by an
 * event signed with the Standard Webhooks scheme, and says it again whenever it is asked.
 */
import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import type { NewsKind } from '../../domain/purchases/purchase.ts';
import { isStorableText } from '../../domain/storable-text.ts';
import { instant } from '../../domain/time/instant.ts';
import { databaseNow } from '../../persistence/clock.ts';
import type { Sql } from '../../persistence/connection.ts';
import {
  disputeCheckout,
  findCheckout,
  insertCheckout,
  judgeCheckout,
  refundCheckout,
  type SandboxCheckout,
  type SandboxOutcome,
  settleCheckout,
  tokenOfPurchase,
} from '../../persistence/sandbox-checkouts.ts';
import { findPortal, type Portal } from '../../persistence/sandbox-portal.ts';
import {
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

const OUTCOMES: Readonly<Record<SandboxOutcome, NewsKind>> = {
  PAID: 'PAID',
  DECLINED: 'FAILED',
  CANCELED: 'EXPIRED',
};

/** What the buttons of a checkout's page do. */
export type SandboxAction = 'pay' | 'decline' | 'cancel' | 'refund' | 'dispute' | 'dispute-won' | 'dispute-lost';

const PORTAL_LIFE_MILLISECONDS = 30 * 60_000;
/** How many payments the portal shows. */
const PORTAL_PAYMENTS = 50;
const TOKEN_BYTES = 32;
const eventBody = z.union([
  z.object({ purchaseId: z.uuid(), outcome: z.enum(['PAID', 'FAILED', 'EXPIRED', 'REFUNDED']) }),
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
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const checkout = await insertCheckout(this.#options.sql, { ...request, token });
    return { status: 'OPEN', reference: checkout.purchaseId, url: `/checkout/sandbox/${checkout.token}` };
  }

  async charge(request: ChargeRequest): Promise<ChargeAnswer> {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const checkout = await insertCheckout(this.#options.sql, { ...request, token });
    const charged = await this.act(checkout.token, 'pay');
    if (charged?.outcome === 'PAID') return { status: 'PAID', reference: charged.purchaseId };
    return { status: 'DECLINED', code: 'card_declined' };
  }

  async verifyEvent(headers: Readonly<Record<string, string>>, rawBody: string): Promise<ProviderEvent | null> {
    const event = eventBody.safeParse(this.#verified(headers, rawBody));
    if (!event.success) return null;
    const { purchaseId } = event.data;
    const news =
      'dispute' in event.data
        ? { kind: event.data.outcome, dispute: event.data.dispute }
        : { kind: event.data.outcome };
    return { id: headers['webhook-id'] ?? '', purchaseId, news };
  }

  async openPortal(organizationId: string): Promise<PortalSession> {
    const { sql, webhookSecret } = this.#options;
    const expiresAt = instant((await databaseNow(sql)) + PORTAL_LIFE_MILLISECONDS);
    return { url: `/portal/sandbox/${portalToken(webhookSecret, { organizationId, expiresAt })}`, expiresAt };
  }

  /** What the token opens; null where it opens nothing. */
  async portalOf(token: string): Promise<Portal | null> {
    const { sql, webhookSecret } = this.#options;
    const organizationId = openedBy(webhookSecret, token, await databaseNow(sql));
    return organizationId === null ? null : findPortal(sql, organizationId, this.name, PORTAL_PAYMENTS);
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
    const token = await tokenOfPurchase(this.#options.sql, purchaseId);
    const checkout = token === null ? null : await this.act(token, 'refund');
    if (checkout?.refundEventId) return { status: 'REFUNDED' };
    return { status: 'DECLINED', code: checkout?.outcome === 'PAID' ? 'disputed' : 'not_paid' };
  }

  /** Does what a button of the checkout's page says where it can still happen; null for an unknown token. */
  act(token: string, action: SandboxAction): Promise<SandboxCheckout | null> {
    const { sql } = this.#options;
    const eventId = `evt_${randomBytes(16).toString('hex')}`;
    switch (action) {
      case 'pay':
        return settleCheckout(sql, token, 'PAID', eventId);
      case 'decline':
        return settleCheckout(sql, token, 'DECLINED', eventId);
      case 'cancel':
        return settleCheckout(sql, token, 'CANCELED', eventId);
      case 'refund':
        return refundCheckout(sql, token, eventId);
      case 'dispute':
        return disputeCheckout(sql, token, eventId);
      case 'dispute-won':
        return judgeCheckout(sql, token, 'WON', eventId);
      case 'dispute-lost':
        return judgeCheckout(sql, token, 'LOST', eventId);
      default: {
        const never: never = action;
        throw new Error(`unknown action ${never}`);
      }
    }
  }

  /** The signed events that tell all that has happened to a checkout, in this order. */
  eventsOf(checkout: SandboxCheckout): readonly SignedEvent[] {
    const { purchaseId, outcome, verdict } = checkout;
    const dispute = `dp_${purchaseId}`;
    const told: readonly (readonly [string | null, object])[] = [
      [checkout.eventId, { outcome: outcome && OUTCOMES[outcome] }],
      [checkout.disputeEventId, { outcome: 'DISPUTE_OPENED', dispute }],
      [checkout.verdictEventId, { outcome: `DISPUTE_${verdict}`, dispute }],
      [checkout.refundEventId, { outcome: 'REFUNDED' }],
    ];
    return told.flatMap(([id, news]) => (id === null ? [] : [this.#signed(id, { purchaseId, ...news })]));
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
