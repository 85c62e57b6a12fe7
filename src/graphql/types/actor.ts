/** Who did something: a user, an API key, or the system. Operators are shown to others as the system. */
import type { Actor as DomainActor } from '../../domain/actor.ts';
import { builder } from '../builder.ts';
import type { GraphQLContext } from '../context.ts';
import { ApiKeyRef } from './api-key.ts';
import { UserRef } from './user.ts';

export const SystemActorRef = builder.objectRef<{ readonly name: string }>('SystemActor').implement({
  description: 'The gateway itself, a payment provider, or an operator of the platform.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Which part acted: "purser", "sandbox", "operator".' }),
  }),
});

export const ActorRef = builder.unionType('Actor', {
  description: 'Who did something.',
  types: [UserRef, ApiKeyRef, SystemActorRef],
  resolveType: (value) => ('email' in value ? 'User' : 'secretHash' in value ? 'ApiKey' : 'SystemActor'),
});

/** An actor for a row that stores its kind and id. Loads all actors of an answer with one statement per kind. */
export async function resolveActor(
  { actorKind: kind, actorId: id }: { readonly actorKind: DomainActor['kind']; readonly actorId: string },
  { loaders, caller }: GraphQLContext,
) {
  switch (kind) {
    case 'USER':
      return (await loaders.users.load(id)) ?? { name: 'former user' };
    case 'API_KEY':
      return (await loaders.apiKeys.load(id)) ?? { name: 'former key' };
    case 'OPERATOR':
      // Operators know each other; to everybody else they are the system.
      return (caller.kind === 'OPERATOR' ? await loaders.users.load(id) : null) ?? { name: 'operator' };
    case 'SYSTEM':
      return { name: id };
    default: {
      const never: never = kind;
      throw new Error(`unknown actor ${never}`);
    }
  }
}
