/** What webhooks tell of the events of the books, by the type of event. */
import { formatCredits } from '../../domain/credits/micros.ts';
import { encodeId } from '../../domain/identity/global-id.ts';
import { formatInstant } from '../../domain/time/instant.ts';
import type { WebhookEvent } from '../../domain/webhooks/event.ts';
import type { Fragment, Queryable } from '../connection.ts';
import {
  ACTIVITIES,
  ALERT_EVENTS,
  BALANCE_CHANGES,
  type EventCursor,
  type EventSource,
  type EventType,
  LEDGER_ENTRIES,
} from '../event-sources.ts';

/** Where an endpoint stands in a source. */
export interface SourceCursor extends EventCursor {
  readonly endpointId: string;
}

export interface CollectedEvent {
  readonly endpointId: string;
  readonly organizationId: string;
  readonly number: bigint;
  readonly event: WebhookEvent;
}

export interface WebhookSource {
  /** The number of the newest event of the wallet `w`. */
  readonly newest: Fragment;
  /** The events after each cursor, in their order, as many as there is room for. */
  readonly load: (sql: Queryable, cursors: readonly SourceCursor[]) => Promise<CollectedEvent[]>;
}

type Told = Omit<WebhookEvent, 'type'>;
type Owners = { readonly organizationId: string; readonly walletId: string };

function webhookSource<Row>(
  type: EventType,
  { newest, after }: EventSource<Row>,
  tell: (row: Row, owners: Owners) => Told,
): Readonly<Record<string, WebhookSource>> {
  const load: WebhookSource['load'] = async (sql, cursors) => {
    const events = await after(sql, cursors);
    return events.map(({ cursor: { endpointId, organizationId, walletId }, number, row }) => {
      const owners = {
        organizationId: encodeId('Organization', organizationId),
        walletId: encodeId('Wallet', walletId),
      };
      return { endpointId, organizationId, number, event: { type, ...tell(row, owners) } };
    });
  };
  return { [type]: { newest, load } };
}

const idOrNull = (type: string, key: string | null): string | null => (key === null ? null : encodeId(type, key));

/** By the type of their events. */
export const WEBHOOK_SOURCES: Readonly<Record<string, WebhookSource>> = {
  ...webhookSource('balance.changed', BALANCE_CHANGES, (change, owners) => ({
    id: encodeId('BalanceChange', `${change.walletId}:${change.version}`),
    occurredAt: change.occurredAt,
    data: {
      ...owners,
      version: Number(change.version),
      sequence: Number(change.sequence),
      change: formatCredits(change.change),
      reasonCode: change.reasonCode,
      totalAvailable: formatCredits(change.totalAvailable),
      held: formatCredits(change.held),
      transactionId: idOrNull('Transaction', change.transactionId),
    },
  })),
  ...webhookSource('ledger_entry.posted', LEDGER_ENTRIES, (entry, owners) => ({
    id: encodeId('LedgerEntryPosted', `${entry.walletId}:${entry.sequence}`),
    occurredAt: entry.effectiveAt,
    data: {
      id: encodeId('LedgerEntry', `${entry.walletId}.${entry.sequence}`),
      ...owners,
      sequence: Number(entry.sequence),
      direction: entry.direction,
      amount: formatCredits(entry.amount),
      balanceAfter: formatCredits(entry.balanceAfter),
      reasonCode: entry.reasonCode,
      bucketKey: entry.bucketKey,
      lotId: idOrNull('Lot', entry.lotId),
      transactionId: encodeId('Transaction', entry.transactionId),
      meter: entry.meter,
      taskId: entry.taskId,
      executionId: entry.executionId,
      postedAt: formatInstant(entry.postedAt),
      effectiveAt: formatInstant(entry.effectiveAt),
      hash: entry.hash,
    },
  })),
  ...webhookSource('balance.low', ALERT_EVENTS, (event, owners) => ({
    id: encodeId('LowBalanceEvent', `${event.walletId}:${event.number}`),
    occurredAt: event.occurredAt,
    data: {
      ...owners,
      alertId: encodeId('Alert', event.alertId),
      transition: event.transition,
      threshold: formatCredits(event.threshold),
      totalAvailable: formatCredits(event.totalAvailable),
      version: Number(event.version),
    },
  })),
  ...webhookSource('activity.added', ACTIVITIES, (activity, { organizationId }) => ({
    id: encodeId('ActivityAdded', `${activity.organizationId}:${activity.number}`),
    occurredAt: activity.occurredAt,
    data: {
      id: encodeId('Activity', `${activity.organizationId}.${activity.number}`),
      organizationId,
      kind: activity.kind,
      summary: activity.summary,
      credits: activity.credits === null ? null : formatCredits(activity.credits),
      taskId: activity.taskId,
      executionId: activity.executionId,
    },
  })),
};
