/** The Node interface of Relay: everything with an id can be read again by it. */
import { builder } from '../builder.ts';

export const NodeRef = builder.interfaceRef<object>('Node').implement({
  description: 'Something with an id of its own, which `node(id:)` finds again.',
  fields: (t) => ({
    id: t.id({ description: 'Opaque and unique over all types.', resolve: () => '' }),
  }),
});
