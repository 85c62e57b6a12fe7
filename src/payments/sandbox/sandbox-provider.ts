/**
 * The sandbox: a payment provider without money, built in as the default. Its checkout is a page with Pay, Decline and
 * Cancel; a checkout ends once. It reports the end as a real one would, by an event signed with the Standard Webhooks
 * scheme, and says it again whenever it is asked.
 */
import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import type { NewsKind } from '../../domain/purchases/purchase.ts';
import { isStorableText } from '../../domain/storable-text.ts';
import type { Sql } from '../../persistence/connection.ts';
import {
  findCheckout,
  insertCheckout,
  type SandboxCheckout,
  type SandboxOutcome,
  settleCheckout,
} from '../../persistence/sandbox-checkouts.ts';
import {
  type Checkout,
  type CheckoutRequest,
  type PaymentProvider,
  type ProviderEvent,
  UnverifiedEvent,
} from '../provider.ts';

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

  async createCheckout(request: CheckoutRequest): Promise<Checkout> {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const checkout = await insertCheckout(this.#options.sql, { ...request, token });
    return { reference: checkout.purchaseId, url: `/checkout/sandbox/${checkout.token}` };
  }

  verifyEvent(headers: Readonly<Record<string, string>>, rawBody: string): ProviderEvent | null {
    const event = eventBody.safeParse(this.#verified(headers, rawBody));
    if (!event.success) return null;
    const { purchaseId } = event.data;
    const news =
      'dispute' in event.data
        ? { kind: event.data.outcome, dispute: event.data.dispute }
        : { kind: event.data.outcome };
    return { id: headers['webhook-id'] ?? '', purchaseId, news };
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

  /** Ends the checkout as asked unless it has ended; null for an unknown token. */
  settle(token: string, outcome: SandboxOutcome): Promise<SandboxCheckout | null> {
    return settleCheckout(this.#options.sql, token, outcome, `evt_${randomBytes(16).toString('hex')}`);
  }

  /** The signed event that tells how a checkout ended. */
  eventOf({ purchaseId, outcome, eventId }: SandboxCheckout): SignedEvent {
    if (outcome === null || eventId === null) throw new Error('an open checkout has no event');
    const sentAt = new Date();
    const body = JSON.stringify({ purchaseId, outcome: OUTCOMES[outcome] });
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
