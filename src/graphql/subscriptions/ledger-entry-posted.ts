import type { Tenant } from '../../domain/identity/caller.ts';
import { eventsAfter, LEDGER_ENTRIES } from '../../persistence/event-sources.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { EntryBatch } from '../live/entry-batch.ts';
import { followEvents } from '../live/follow-events.ts';
import { liveTenant } from '../live/tenant.ts';
import { LedgerEntryRef } from '../types/ledger-entry.ts';
import { ledgerCursor, sequenceOf } from '../types/ledger-pages.ts';

interface PostedEntryEvent {
  readonly walletId: string;
  readonly sequence: bigint;
  /** With which it is read. */
  readonly batch: EntryBatch;
}

const LedgerEntryPostedRef = builder.objectRef<PostedEntryEvent>('LedgerEntryPosted').implement({
  description: 'One ledger entry, as it is posted.',
  fields: (t) => ({
    cursor: t.string({ description: 'The same as in pages of the ledger.', resolve: ledgerCursor }),
    entry: t.field({
      type: LedgerEntryRef,
      description: 'The entry.',
      resolve: ({ batch, sequence }, _args, context, info) => batch.entry(context, info, sequence),
    }),
  }),
});

function postedEntries(
  context: GraphQLContext,
  tenant: Tenant,
  after: bigint | null,
): Promise<AsyncIterable<PostedEntryEvent>> {
  const { walletId } = tenant;
  const { sql } = context.services;
  return followEvents<PostedEntryEvent>(context, {
    type: 'ledger_entry.posted',
    tenant,
    after,
    countedBy: 'wallet',
    numberOf: (event) => event.sequence,
    load: async (sequence, limit) => {
      const entries = await eventsAfter(sql, LEDGER_ENTRIES, tenant, sequence, limit);
      const sequences = entries.map((entry) => entry.sequence);
      const batch = new EntryBatch(walletId, sequences);
      return sequences.map((next) => ({ walletId, sequence: next, batch }));
    },
  });
}

builder.subscriptionField('ledgerEntryPosted', (t) =>
  t.field({
    type: LedgerEntryPostedRef,
    description:
      'Every new ledger entry, each once and in order. Needs billing:read. A client that is more than 1,000 events behind and does not read is closed with 4429 (over SSE: an error TOO_SLOW) and can resume; one whose credential ends is closed with 4403.',
    args: {
      organizationId: t.arg.id({ required: true, description: 'Whose wallet.' }),
      after: t.arg.string({
        description: 'A cursor of this stream or of the ledger: entries since then come first. Cursors do not expire.',
      }),
    },
    subscribe: async (_root, { organizationId, after }, context) => {
      const tenant = await liveTenant(context, organizationId);
      const sequence = after === null || after === undefined ? null : sequenceOf(tenant.walletId, after);
      return postedEntries(context, tenant, sequence);
    },
    resolve: (event) => event,
  }),
);
