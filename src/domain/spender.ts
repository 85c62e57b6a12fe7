/** Who spends, as limits and earmarks ask: the member and project that a charge is attributed to, and the key that makes it. */
import type { Actor } from './actor.ts';

export interface Spender {
  readonly userId: string | null;
  readonly projectId: string | null;
  readonly apiKeyId: string | null;
}

interface Charged {
  readonly actor: Actor;
  readonly attribution: Pick<Spender, 'userId' | 'projectId'>;
}

/** Of a charge, or of the hold that it captures. */
export function spenderOf({ actor, attribution: { userId, projectId } }: Charged): Spender {
  return { userId, projectId, apiKeyId: actor.kind === 'API_KEY' ? actor.id : null };
}
