import { queryFromInfo } from '@pothos/plugin-prisma';
import { type Caller, type Scope, tenantsOf } from '../../domain/identity/caller.ts';
import { signedIn } from '../../operations/authorize.ts';
import { builder } from '../builder.ts';
import type { NodeQuery } from '../loading/connections.ts';
import { loadWritten } from '../loading/rows.ts';
import { ApiKeyRef } from '../types/api-key.ts';
import { ScopeEnum, ViewerKindEnum } from '../types/enums.ts';
import { MembershipRef } from '../types/membership.ts';
import { UserRef } from '../types/user.ts';

const ALL_SCOPES: readonly Scope[] = ['BILLING_READ', 'BILLING_WRITE', 'USAGE_WRITE'];
const MAX_MEMBERSHIPS = 100;

function scopesOf(caller: Caller): readonly Scope[] {
  if (caller.kind !== 'API_KEY') return [];
  return caller.master ? ALL_SCOPES : caller.scopes;
}

const ViewerRef = builder.objectRef<Exclude<Caller, { kind: 'ANONYMOUS' }>>('Viewer').implement({
  description: 'Who is calling.',
  fields: (t) => ({
    kind: t.expose('kind', { type: ViewerKindEnum, description: 'What kind of credential the request carries.' }),
    user: t.field({
      type: UserRef,
      nullable: true,
      description: 'The person; null for an API key.',
      resolve: (caller, _args, { loaders }) => (caller.kind === 'API_KEY' ? null : loaders.users.load(caller.userId)),
    }),
    apiKey: t.field({
      type: ApiKeyRef,
      nullable: true,
      description: 'The key; null for a person.',
      resolve: (caller, _args, context, info) =>
        caller.kind !== 'API_KEY'
          ? null
          : loadWritten(context, info, (query) =>
              context.services.prisma.apiKey.findUnique({ ...query, where: { id: caller.keyId } }),
            ),
    }),
    scopes: t.field({
      type: [ScopeEnum],
      description: 'What the key may do; all of them for a master key, empty for a person.',
      resolve: (caller) => [...scopesOf(caller)],
    }),
    memberships: t.field({
      type: [MembershipRef],
      description: 'The organizations a person belongs to, at most 100; empty for keys and operators.',
      resolve: (caller, _args, context, info) => {
        if (caller.kind !== 'USER' || tenantsOf(caller).length === 0) return [];
        const query = queryFromInfo({ context, info }) as NodeQuery;
        return context.services.prisma.membership.findMany({
          ...query,
          where: { userId: caller.userId, status: 'ACTIVE', removedAt: null },
          orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
          take: MAX_MEMBERSHIPS,
        });
      },
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: ViewerRef,
    description: 'Who is calling. Needs any credential.',
    resolve: (_root, _args, { caller }) => signedIn(caller),
  }),
);
