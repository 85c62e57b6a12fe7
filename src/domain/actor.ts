/** Who did something, as the books remember it. Operators are shown to everybody else as a system actor. */
export type ActorKind = 'USER' | 'API_KEY' | 'OPERATOR' | 'SYSTEM';

export interface Actor {
  readonly kind: ActorKind;
  /** A user's or key's id; for SYSTEM the name of the part that acted. */
  readonly id: string;
}

export const systemActor = (name: string): Actor => ({ kind: 'SYSTEM', id: name });
