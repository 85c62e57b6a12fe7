import { signedIn } from '../../operations/authorize.ts';
import { createOrganization } from '../../operations/create-organization.ts';
import { builder } from '../builder.ts';
import { loadWritten } from '../loading/rows.ts';
import { OrganizationRef } from '../types/organization.ts';
import { resultUnion } from '../types/result.ts';

const CreateOrganizationInputRef = builder.inputType('CreateOrganizationInput', {
  description: 'An organization to create.',
  fields: (t) => ({
    slug: t.string({ required: true, description: 'Unique: 1 to 63 of a–z, 0–9 and inner hyphens.' }),
    name: t.string({ required: true, description: 'Display name, at most 200 characters.' }),
    timeZone: t.string({ description: 'IANA time zone; UTC without it.' }),
    testClock: t.boolean({ description: 'True for an organization whose time can be moved forward. Operators only.' }),
  }),
});

const OrganizationPayloadRef = builder.objectRef<{ readonly organizationId: string }>('OrganizationPayload').implement({
  description: 'The organization.',
  fields: (t) => ({
    organization: t.field({
      type: OrganizationRef,
      description: 'As it is now.',
      resolve: ({ organizationId: id }, _args, context, info) =>
        loadWritten(context, info, (query) =>
          context.services.prisma.organization.findUnique({ ...query, where: { id } }),
        ),
    }),
  }),
});

export const OrganizationResult = resultUnion('OrganizationResult', OrganizationPayloadRef, [
  'PlanLimitReached',
  'Conflict',
  'NotFound',
  'InvalidInput',
]);

builder.mutationField('createOrganization', (t) =>
  t.field({
    type: OrganizationResult,
    description: 'Creates an organization with an empty wallet. A user who creates one owns it. API keys may not.',
    args: { input: t.arg({ type: CreateOrganizationInputRef, required: true, description: 'What to create.' }) },
    resolve: async (_root, { input }, context) => {
      const created = await createOrganization(context.services, signedIn(context.caller), input);
      // Whoever creates an organization is a member of it from then on, in this very answer too.
      if ('organizationId' in created) context.caller = await context.reauthenticate();
      return created;
    },
  }),
);
