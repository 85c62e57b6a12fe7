/** People. */
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { NodeRef } from './node.ts';

export const UserRef = builder.prismaObject('User', {
  description: 'A person, as the identity provider names them.',
  interfaces: [NodeRef],
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: (user) => encodeId('User', user.id) }),
    name: t.exposeString('name', { description: 'Display name.' }),
    email: t.exposeString('email', { description: 'E-mail address.' }),
  }),
});
