import { signedIn } from '../../operations/authorize.ts';
import { removeAlert } from '../../operations/remove-alert.ts';
import { type DecidedAlert, setAlert } from '../../operations/set-alert.ts';
import { builder } from '../builder.ts';
import { decodeId, decodeOptionalId } from '../ids.ts';
import { loadWritten } from '../loading/rows.ts';
import { AlertRef } from '../types/alert.ts';
import { resultUnion } from '../types/result.ts';

const SetAlertInputRef = builder.inputType('SetAlertInput', {
  description: 'A threshold to tell of: an amount or a percentage, one of the two.',
  fields: (t) => ({
    organizationId: t.id({ description: 'For whom. An API key may leave it out.' }),
    threshold: t.field({ type: 'Credits', description: 'Less than this that can be spent triggers it. More than 0.' }),
    percent: t.int({
      description: 'The same as a percentage, 1 to 100, of what the wallet’s allowances grant at one refresh each.',
    }),
  }),
});

const RemoveAlertInputRef = builder.inputType('RemoveAlertInput', {
  description: 'An alert that is not wanted any more.',
  fields: (t) => ({ alertId: t.id({ required: true, description: 'Which one.' }) }),
});

const AlertPayloadRef = builder.objectRef<DecidedAlert>('AlertPayload').implement({
  description: 'The alert that was set or removed.',
  fields: (t) => ({
    alert: t.field({
      type: AlertRef,
      description: 'As it is now.',
      resolve: ({ alertId: id }, _args, context, info) =>
        loadWritten(context, info, (query) => context.services.prisma.alert.findUnique({ ...query, where: { id } })),
    }),
  }),
});

const AlertResult = resultUnion('AlertResult', AlertPayloadRef, ['NotFound', 'InvalidInput']);

builder.mutationField('setAlert', (t) =>
  t.field({
    type: AlertResult,
    description:
      'Sets an alert on what can be spent; it triggers at once where less than its threshold can. The same again answers the one that is there. At most 20 an organization. Needs billing:write; audited.',
    args: { input: t.arg({ type: SetAlertInputRef, required: true, description: 'At which threshold.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      setAlert(services, signedIn(caller), {
        ...input,
        organizationId: decodeOptionalId('Organization', input.organizationId),
      }),
  }),
);

builder.mutationField('removeAlert', (t) =>
  t.field({
    type: AlertResult,
    description:
      'Removes an alert; nothing is told of it any more. A default of the plan stays away as long as the organization has that plan. Needs billing:write; audited.',
    args: { input: t.arg({ type: RemoveAlertInputRef, required: true, description: 'Which alert.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      removeAlert(services, signedIn(caller), { alertId: decodeId('Alert', input.alertId) }),
  }),
);
