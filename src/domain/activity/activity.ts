/** What happened in an organization, in words for people. */
import type { Actor } from '../actor.ts';
import type { Micros } from '../credits/micros.ts';
import type { Instant } from '../time/instant.ts';

export type ActivityKind =
  | 'USAGE'
  | 'PURCHASE'
  | 'PLAN'
  | 'HOLD'
  | 'REFUND'
  | 'ADJUSTMENT'
  | 'ALERT'
  | 'MEMBER'
  | 'API_KEY'
  | 'SETTINGS';

/** The task and execution that usage belongs to. */
export interface Work {
  readonly taskId: string | null;
  readonly executionId: string | null;
}

export interface NewActivity {
  readonly organizationId: string;
  readonly kind: ActivityKind;
  readonly summary: string;
  /** Signed: negative for spending; null where no credits moved. */
  readonly credits: Micros | null;
  readonly actor: Actor;
  readonly work: Work;
  /** Null for now, by the organization's clock. */
  readonly occurredAt: Instant | null;
}

export const NO_WORK: Work = { taskId: null, executionId: null };
