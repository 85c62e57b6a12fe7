/** The audit trail. */
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { connectionType } from '../pages.ts';
import { mayReadAudit } from '../permissions/readable.ts';
import { ActorRef, resolveActor } from './actor.ts';
import { NodeRef } from './node.ts';

export const AuditRecordRef = builder.prismaObject('AuditRecord', {
  name: 'AuditRecord',
  description:
    'Who changed what, one record of every mutation but those that charge usage, which the ledger tells; and wallets that the self-audit froze. Never changed afterwards.',
  interfaces: [NodeRef],
  readableBy: mayReadAudit,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (record) => encodeId('AuditRecord', record.id) }),
    action: t.exposeString('action', { description: 'The mutation’s name.' }),
    actor: t.field({
      type: ActorRef,
      description: 'Who.',
      resolve: (record, _args, context) => resolveActor(record, context),
    }),
    before: t.field({
      type: 'JSON',
      nullable: true,
      description: 'What it was; null where there was nothing.',
      resolve: (record) => record.before,
    }),
    after: t.field({
      type: 'JSON',
      nullable: true,
      description: 'What it became, and why; never a secret. Null where nothing is left or changed.',
      resolve: (record) => record.after,
    }),
    requestId: t.exposeString('requestId', {
      nullable: true,
      description: 'The id of the request in the log, its x-request-id; null for what no request did.',
    }),
    occurredAt: t.expose('occurredAt', { type: 'DateTime', description: 'When.' }),
  }),
});

export const AuditConnection = connectionType('Audit', AuditRecordRef, 'newest first');
