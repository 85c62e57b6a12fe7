import { signedIn } from '../../operations/authorize.ts';
import { updateOrganization } from '../../operations/update-organization.ts';
import { builder } from '../builder.ts';
import { decodeOptionalId } from '../ids.ts';
import { OrganizationResult } from './create-organization.ts';

const UpdateOrganizationInputRef = builder.inputType('UpdateOrganizationInput', {
  description: 'What to change of an organization; what is left out stays.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Which. An API key may leave it out.' }),
    name: t.string({ description: 'Display name, at most 200 characters.' }),
    timeZone: t.string({
      description:
        'IANA time zone. A change applies from the end of the longest window that is open: the calendar month, the billing period or an allowance’s. It cannot be taken back, and the next is accepted 30 days later at the earliest and not before it applies; Conflict until then. The zone that is or will be in force changes nothing.',
    }),
  }),
});

builder.mutationField('updateOrganization', (t) =>
  t.field({
    type: OrganizationResult,
    description: 'Changes the settings of an organization. Owners, master keys and operators; audited.',
    args: { input: t.arg({ type: UpdateOrganizationInputRef, required: true, description: 'What to change.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      updateOrganization(services, signedIn(caller), {
        ...input,
        organizationId: decodeOptionalId('Organization', input.organizationId),
      }),
  }),
);
