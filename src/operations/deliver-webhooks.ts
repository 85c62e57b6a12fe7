/**
 * Tells webhook endpoints what has happened: makes deliveries of new events, sends those that are due and records what came
 * of it. Sending goes on beside the run that begins it, for a slow receiver must not hold up other jobs; how many are under
 * way is bounded for each endpoint and in all. A delivery whose process dies between sending and recording is sent again when
 * its lease has run out, with the same id: at least once.
 *
 * Throws the database's faults.
 */
import { setMaxListeners } from 'node:events';
import { systemActor } from '../domain/actor.ts';
import { retryDelay } from '../domain/webhooks/retries.ts';
import { insertAudit } from '../persistence/audit.ts';
import {
  type DueDelivery,
  type Failure,
  forgetOldDeliveries,
  recordDelivered,
  recordFailed,
  takeDue,
  tryAllNow,
} from '../persistence/webhooks/webhook-deliveries.ts';
import { disableEndpoint, lockEndpoint } from '../persistence/webhooks/webhook-endpoints.ts';
import { collectEvents } from '../persistence/webhooks/webhook-outbox.ts';
import { WEBHOOK_SOURCES } from '../persistence/webhooks/webhook-sources.ts';
import type { WebhookAnswer } from '../webhooks/sender.ts';
import type { Services } from './services.ts';

const COLLECTING = { endpoints: 20, events: 250, pending: 1_000 };
const MAX_UNDER_WAY = 128;
/** An endpoint that failed five times in a row gets one attempt at a time. The lease outlasts an attempt and its record. */
const TAKING = { perEndpoint: 4, failingAfter: 5, leaseMilliseconds: 30_000 };
/** After so many failures in a row one success means that the receiver is back: what waits is tried at once. */
const DOWN_AFTER_FAILURES = 20;
const LOG_DAYS = 30;
const FORGETTING = { perEndpoint: 500, everyMilliseconds: 60_000 };
const GONE = 410;

type Delivering = Pick<Services, 'sql' | 'webhooks' | 'logger' | 'newId'>;

export class WebhookDeliverer {
  readonly #services: Delivering;
  /** Attempts under way, and what is done right after them. */
  readonly #underWay = new Set<Promise<void>>();
  #sending = 0;
  #taking = false;
  #wanted = false;
  /** By the process's monotonic clock. */
  #forgetAt = 0;

  constructor(services: Delivering) {
    this.#services = services;
  }

  /** Whether there may be more events to collect. */
  async run(signal: AbortSignal): Promise<{ readonly unfinished: boolean }> {
    // Every attempt listens to it.
    setMaxListeners(0, signal);
    const unfinished = await this.#collect();
    await this.#forget();
    await this.#sendDue(signal);
    return { unfinished };
  }

  /** Resolves when nothing is being sent any more. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #collect(): Promise<boolean> {
    const { sql, newId } = this.#services;
    let unfinished = false;
    for (const source of Object.entries(WEBHOOK_SOURCES)) {
      unfinished = (await collectEvents(sql, source, COLLECTING, newId)) || unfinished;
    }
    return unfinished;
  }

  async #forget(): Promise<void> {
    if (performance.now() < this.#forgetAt) return;
    this.#forgetAt = performance.now() + FORGETTING.everyMilliseconds;
    await forgetOldDeliveries(this.#services.sql, LOG_DAYS, FORGETTING.perEndpoint);
  }

  /** Takes as much as there is room for. Asked again while it does, it looks again. */
  async #sendDue(signal: AbortSignal): Promise<void> {
    this.#wanted = true;
    if (this.#taking) return;
    this.#taking = true;
    try {
      while (this.#wanted && !signal.aborted && this.#sending < MAX_UNDER_WAY) {
        this.#wanted = false;
        const bounds = { ...TAKING, deliveries: MAX_UNDER_WAY - this.#sending };
        const taken = await this.#services.sql.begin((tx) => takeDue(tx, bounds));
        for (const delivery of taken) this.#begin(delivery, signal);
      }
    } finally {
      this.#taking = false;
    }
  }

  #begin(delivery: DueDelivery, signal: AbortSignal): void {
    this.#sending += 1;
    const ended = this.#deliver(delivery, signal)
      .finally(() => {
        this.#sending -= 1;
      })
      .then(() => this.#sendDue(signal))
      .catch((error: unknown) => {
        if (!signal.aborted)
          this.#services.logger.warn({ err: error, delivery: delivery.id }, 'webhooks wait for the next run');
      })
      .finally(() => this.#underWay.delete(ended));
    this.#underWay.add(ended);
  }

  async #deliver(delivery: DueDelivery, signal: AbortSignal): Promise<void> {
    const { sql } = this.#services;
    const answer = await this.#send(delivery, signal);
    // Cut short by the end of the process: whoever takes it next sends it again.
    if (signal.aborted && answer.status === null) return;
    if (answer.status === null || answer.status < 200 || answer.status > 299)
      return this.#recordFailure(delivery, answer);
    await recordDelivered(sql, delivery, answer.status);
    if (delivery.failedInRow >= DOWN_AFTER_FAILURES) await this.#tryAllNow(delivery.endpointId);
  }

  async #tryAllNow(endpointId: string): Promise<void> {
    await this.#services.sql.begin(async (tx) => {
      if (await lockEndpoint(tx, endpointId)) await tryAllNow(tx, endpointId);
    });
  }

  async #send({ endpointId, url, eventId, payload, secrets, now }: DueDelivery, signal: AbortSignal) {
    const { webhooks, logger } = this.#services;
    try {
      return await webhooks.send({ endpointId, url, eventId, payload, secrets, at: now }, signal);
    } catch (error) {
      logger.warn({ err: error, endpoint: endpointId }, 'a webhook could not be sent');
      return { status: null, retryAfterMilliseconds: null };
    }
  }

  async #recordFailure(delivery: DueDelivery, answer: WebhookAnswer): Promise<void> {
    if (answer.status === GONE) return this.#recordGone(delivery, answer);
    await recordFailed(this.#services.sql, delivery, failureOf(delivery, answer));
  }

  /**
   * The receiver says that it is no more: nothing else is sent until somebody enables the endpoint again. It speaks for its own
   * URL only, and in an attempt that still counts: an endpoint that was mended meanwhile goes on.
   */
  async #recordGone(delivery: DueDelivery, answer: WebhookAnswer): Promise<void> {
    const { sql, newId } = this.#services;
    await sql.begin(async (tx) => {
      const endpoint = await lockEndpoint(tx, delivery.endpointId);
      const isItsUrl = endpoint?.url === delivery.url;
      const failure = isItsUrl ? { responseStatus: GONE, delayMilliseconds: null } : failureOf(delivery, answer);
      const isRecorded = await recordFailed(tx, delivery, failure);
      if (!isItsUrl || !isRecorded) return;
      const organizationId = await disableEndpoint(tx, delivery.endpointId);
      if (organizationId === null) return;
      await insertAudit(tx, {
        id: newId(),
        organizationId,
        action: 'disableWebhookEndpoint',
        actor: systemActor('webhooks'),
        before: null,
        after: { webhookEndpointId: delivery.endpointId, responseStatus: GONE },
        requestId: null,
      });
    });
  }
}

function failureOf({ retries: attempts }: DueDelivery, { status, retryAfterMilliseconds }: WebhookAnswer): Failure {
  const delayMilliseconds = retryDelay({ attempts, retryAfterMilliseconds, random: Math.random() });
  return { responseStatus: status, delayMilliseconds };
}
