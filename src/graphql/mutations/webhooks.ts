import { signedIn } from '../../operations/authorize.ts';
import { type CreatedWebhookEndpoint, createWebhookEndpoint } from '../../operations/create-webhook-endpoint.ts';
import { deleteWebhookEndpoint } from '../../operations/delete-webhook-endpoint.ts';
import { redeliverWebhook } from '../../operations/redeliver-webhook.ts';
import { rotateWebhookSecret } from '../../operations/rotate-webhook-secret.ts';
import { updateWebhookEndpoint } from '../../operations/update-webhook-endpoint.ts';
import { builder } from '../builder.ts';
import { decodeId, decodeOptionalId } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { resultUnion } from '../types/result.ts';
import { WebhookDeliveryRef, WebhookEndpointRef } from '../types/webhook-endpoint.ts';

const EVENTS =
  'The types of events to be told, at least one: "balance.changed", "ledger_entry.posted", "balance.low", "activity.added".';
const URL =
  'Where to POST them: https://… (outside of production http:// too), at most 2,048 characters, port 80, 443 or from 1024, without credentials or fragment. What it resolves to must be a public address.';

const CreateWebhookEndpointInputRef = builder.inputType('CreateWebhookEndpointInput', {
  description: 'An endpoint to create.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Whose events. An API key may leave it out.' }),
    url: t.string({ required: true, description: URL }),
    events: t.stringList({ required: true, description: EVENTS }),
  }),
});

const UpdateWebhookEndpointInputRef = builder.inputType('UpdateWebhookEndpointInput', {
  description: 'What to change of an endpoint; what is left out stays as it was.',
  fields: (t) => ({
    webhookEndpointId: t.id({ required: true, description: 'Which.' }),
    url: t.string({ description: `${URL} What waits is tried at once where it changes.` }),
    events: t.stringList({ description: `${EVENTS} Those that are new to it are told from now on.` }),
    enabled: t.boolean({
      description:
        'False to be told nothing. True again: events are told from now on, and what waited is tried at once.',
    }),
  }),
});

const DeleteWebhookEndpointInputRef = builder.inputType('DeleteWebhookEndpointInput', {
  description: 'An endpoint to delete.',
  fields: (t) => ({ webhookEndpointId: t.id({ required: true, description: 'Which.' }) }),
});

const RotateWebhookSecretInputRef = builder.inputType('RotateWebhookSecretInput', {
  description: 'An endpoint to give a new secret.',
  fields: (t) => ({ webhookEndpointId: t.id({ required: true, description: 'Which.' }) }),
});

const RedeliverWebhookInputRef = builder.inputType('RedeliverWebhookInput', {
  description: 'A delivery to send again.',
  fields: (t) => ({ webhookDeliveryId: t.id({ required: true, description: 'Which.' }) }),
});

interface NamedEndpoint {
  readonly endpointId: string;
}

const CreateWebhookEndpointPayloadRef = builder
  .objectRef<CreatedWebhookEndpoint>('CreateWebhookEndpointPayload')
  .implement({
    description: 'The endpoint and its secret.',
    fields: (t) => ({
      webhookEndpoint: t.field({
        type: WebhookEndpointRef,
        description: 'The endpoint.',
        resolve: ({ endpointId: id }, _args, context, info) =>
          loadWritten(context, info, (query) =>
            context.services.prisma.webhookEndpoint.findUnique({ ...query, where: { id } }),
          ),
      }),
      secret: t.exposeString('secret', {
        description: 'Signs what it is sent (Standard Webhooks): whsec_… Shown this once; keep it.',
      }),
    }),
  });

const WebhookEndpointPayloadRef = builder.objectRef<NamedEndpoint>('WebhookEndpointPayload').implement({
  description: 'The endpoint.',
  fields: (t) => ({
    webhookEndpoint: t.field({
      type: WebhookEndpointRef,
      description: 'As it is now; a deleted one as it was.',
      resolve: ({ endpointId: id }, _args, context, info) =>
        loadWritten(context, info, (query) =>
          context.services.prisma.webhookEndpoint.findUnique({ ...query, where: { id } }),
        ),
    }),
  }),
});

const WebhookDeliveryPayloadRef = builder
  .objectRef<{ readonly deliveryId: string }>('WebhookDeliveryPayload')
  .implement({
    description: 'The delivery.',
    fields: (t) => ({
      webhookDelivery: t.field({
        type: WebhookDeliveryRef,
        description: 'As it is now.',
        resolve: ({ deliveryId: id }, _args, context, info) =>
          loadWritten(context, info, (query) =>
            context.services.prisma.webhookDelivery.findUnique({ ...query, where: { id } }),
          ),
      }),
    }),
  });

const CreateWebhookEndpointResult = resultUnion('CreateWebhookEndpointResult', CreateWebhookEndpointPayloadRef, [
  'NotFound',
  'InvalidInput',
]);
const WebhookEndpointResult = resultUnion('WebhookEndpointResult', WebhookEndpointPayloadRef, [
  'NotFound',
  'InvalidInput',
]);
const WebhookDeliveryResult = resultUnion('WebhookDeliveryResult', WebhookDeliveryPayloadRef, [
  'NotFound',
  'InvalidInput',
]);

builder.mutationField('createWebhookEndpoint', (t) =>
  t.field({
    type: CreateWebhookEndpointResult,
    description:
      'Has an organization’s events told to a URL from now on; an organization may have 10 endpoints. The secret is shown once. Owners, master keys that are bound to no project and operators; audited.',
    args: { input: t.arg({ type: CreateWebhookEndpointInputRef, required: true, description: 'What to create.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      createWebhookEndpoint(services, signedIn(caller), {
        ...input,
        organizationId: decodeOptionalId('Organization', input.organizationId),
      }),
  }),
);

builder.mutationField('updateWebhookEndpoint', (t) =>
  t.field({
    type: WebhookEndpointResult,
    description: 'Changes an endpoint. Owners, master keys that are bound to no project and operators; audited.',
    args: { input: t.arg({ type: UpdateWebhookEndpointInputRef, required: true, description: 'What to change.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      updateWebhookEndpoint(services, signedIn(caller), {
        ...input,
        endpointId: decodeId('WebhookEndpoint', input.webhookEndpointId),
      }),
  }),
);

builder.mutationField('deleteWebhookEndpoint', (t) =>
  t.field({
    type: WebhookEndpointResult,
    description:
      'Deletes an endpoint; what waits to be delivered to it is given up. Owners, master keys that are bound to no project and operators; audited.',
    args: { input: t.arg({ type: DeleteWebhookEndpointInputRef, required: true, description: 'Which.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      deleteWebhookEndpoint(services, signedIn(caller), decodeId('WebhookEndpoint', input.webhookEndpointId)),
  }),
);

builder.mutationField('rotateWebhookSecret', (t) =>
  t.field({
    type: CreateWebhookEndpointResult,
    description:
      'Gives an endpoint a new secret, shown once. For 24 hours deliveries are signed with the one before too. Owners, master keys that are bound to no project and operators; audited.',
    args: { input: t.arg({ type: RotateWebhookSecretInputRef, required: true, description: 'Which.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      rotateWebhookSecret(services, signedIn(caller), decodeId('WebhookEndpoint', input.webhookEndpointId)),
  }),
);

builder.mutationField('redeliverWebhook', (t) =>
  t.field({
    type: WebhookDeliveryResult,
    description:
      'Sends a delivery again at once, whatever became of it: the same event under the same id. Owners, master keys that are bound to no project and operators; audited.',
    args: { input: t.arg({ type: RedeliverWebhookInputRef, required: true, description: 'Which.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      redeliverWebhook(services, signedIn(caller), decodeId('WebhookDelivery', input.webhookDeliveryId)),
  }),
);
