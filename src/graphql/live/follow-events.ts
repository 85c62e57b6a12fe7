import { EVENT_SOURCES, newestEvent } from '../../persistence/event-sources.ts';
import type { GraphQLContext } from '../context.ts';
import { badUserInput } from '../errors.ts';
import { type Followed, follow } from './follow.ts';

export interface FollowedEvents<Row> extends Pick<Followed<Row>, 'type' | 'tenant' | 'numberOf' | 'load'> {
  /** The event that was seen last; null for a stream that begins with what comes next. */
  readonly after: bigint | null;
  /** Who counts the events, to whoever sends a cursor of another one. */
  readonly countedBy: 'organization' | 'wallet';
  /** Brings up to date what is followed. What it adds comes first: it happens while the stream is open. */
  readonly catchUp?: () => Promise<unknown>;
}

/** Follows events, those after a cursor where there is one, else the next ones. A cursor from ahead of them is refused. */
export async function followEvents<Row>(
  context: GraphQLContext,
  { after, countedBy, catchUp, ...followed }: FollowedEvents<Row>,
): Promise<AsyncIterable<Row>> {
  const newest = await newestEvent(context.services.sql, EVENT_SOURCES[followed.type], followed.tenant.walletId);
  if (after !== null && after > newest) throw badUserInput(`after is not a cursor of this ${countedBy}.`);
  await catchUp?.();
  return follow<Row>(context, { ...followed, opening: [], after: after ?? newest });
}
