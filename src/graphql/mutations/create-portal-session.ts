import { signedIn } from '../../operations/authorize.ts';
import { createPortalSession, type PortalSession } from '../../operations/create-portal-session.ts';
import { builder } from '../builder.ts';
import { decodeOptionalId } from '../ids.ts';
import { resultUnion } from '../types/result.ts';

const PortalSessionPayloadRef = builder.objectRef<PortalSession>('PortalSessionPayload').implement({
  description: 'The payment provider’s portal, open for one organization.',
  fields: (t) => ({
    url: t.string({
      description: 'The provider’s own page. Whoever has it may open it until it expires.',
      resolve: ({ url }, _args, { publicUrl }) => (url.startsWith('/') ? publicUrl + url : url),
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'By when it must be opened, by the real clock.',
    }),
  }),
});

const PortalSessionResult = resultUnion('PortalSessionResult', PortalSessionPayloadRef, ['NotFound', 'InvalidInput']);

const CreatePortalSessionInputRef = builder.inputType('CreatePortalSessionInput', {
  description: 'Whose portal to open.',
  fields: (t) => ({
    organizationId: t.id({ description: 'Whose. An API key may leave it out.' }),
  }),
});

builder.mutationField('createPortalSession', (t) =>
  t.field({
    type: PortalSessionResult,
    description:
      'Opens the payment provider’s portal, where an organization’s payments stand together. Owners, master keys, keys with billing:write and operators; audited.',
    args: { input: t.arg({ type: CreatePortalSessionInputRef, required: true, description: 'Whose portal to open.' }) },
    resolve: (_root, { input }, { services, caller }) =>
      createPortalSession(services, signedIn(caller), decodeOptionalId('Organization', input.organizationId)),
  }),
);
