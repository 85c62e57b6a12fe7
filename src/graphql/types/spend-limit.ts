/** Spend limits: what an organization, a project, a member or a key may spend in a window. */
import { micros } from '../../domain/credits/micros.ts';
import { builder } from '../builder.ts';
import { encodeId } from '../ids.ts';
import { mayReadWallet } from '../permissions/readable.ts';
import { ApiKeyRef } from './api-key.ts';
import { LimitWindowEnum, SpendLimitScopeEnum } from './enums.ts';
import { NodeRef } from './node.ts';
import { ProjectRef } from './project.ts';

export const SpendLimitRef = builder.prismaObject('SpendLimit', {
  description:
    'How many credits may be spent in a window. A charge counts when it is posted, whenever the work was done; a hold reserves room in the window in which it is made and gives back what it does not use; a refund gives room back while the window of the charge lasts. Free work always passes. Readable with billing:read.',
  interfaces: [NodeRef],
  readableBy: mayReadWallet,
  fields: (t) => ({
    id: t.id({ description: 'Opaque id.', resolve: ({ id }) => encodeId('SpendLimit', id) }),
    scope: t.expose('scope', { type: SpendLimitScopeEnum, description: 'Whose spending it limits.' }),
    project: t.relation('project', {
      nullable: true,
      type: ProjectRef,
      description: 'The project whose usage it limits; null unless the scope is PROJECT.',
    }),
    user: t.relation('user', {
      nullable: true,
      description: 'The member whose usage it limits; null unless the scope is USER.',
    }),
    apiKey: t.relation('apiKey', {
      nullable: true,
      type: ApiKeyRef,
      description: 'The key whose charges it limits; null unless the scope is API_KEY.',
    }),
    window: t.expose('window', {
      type: LimitWindowEnum,
      description: 'What it counts by, in the organization’s time zone.',
    }),
    credits: t.field({
      type: 'Credits',
      description: 'The most that may be spent in one window; 0 stops all that costs something.',
      resolve: ({ creditsMicros }) => micros(creditsMicros),
    }),
    used: t.field({
      type: 'Credits',
      description:
        'What was charged or is reserved in the present window, also before the limit was set; more than `credits` where the limit was lowered and where captures went beyond their holds.',
      resolve: async ({ id }, _args, { loaders }) => (await loaders.spendLimitUses.load(id)).used,
    }),
    resetsAt: t.field({
      type: 'DateTime',
      description: 'When the next window begins.',
      resolve: async ({ id }, _args, { loaders }) => (await loaders.spendLimitUses.load(id)).resetsAt,
    }),
  }),
});
