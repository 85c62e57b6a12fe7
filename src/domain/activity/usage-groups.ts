/**
 * Groups charges into what people read as one: of the same task and execution, or of the same actor where there is neither. A
 * group ends after five quiet minutes, an hour after its first charge, or as soon as the last hold of its work has ended by a
 * capture or release. Charges are taken in the order of posting, each into exactly one group, however often and in whatever
 * portions this is done.
 */
import type { Actor } from '../actor.ts';
import { isStorable, type Micros, plus } from '../credits/micros.ts';
import { type Instant, instant } from '../time/instant.ts';
import type { NewActivity, Work } from './activity.ts';
import { creditsOf, ofWork } from './words.ts';

export const QUIET_MILLISECONDS = 5 * 60_000;
/** Bounds how long work that never rests goes unread. */
export const LONGEST_MILLISECONDS = 60 * 60_000;

/** A debit or capture. */
export interface Usage {
  readonly work: Work;
  readonly actor: Actor;
  /** Signed: negative, or 0 for free work. */
  readonly credits: Micros;
  readonly postedAt: Instant;
  /** True for a capture that ended its hold. */
  readonly endsHold: boolean;
}

export interface ReleasedHold {
  readonly work: Work;
  readonly at: Instant;
}

export interface UsageGroup {
  readonly work: Work;
  /** Who charged first. */
  readonly actor: Actor;
  readonly operations: bigint;
  readonly credits: Micros;
  readonly startedAt: Instant;
  readonly lastAt: Instant;
  /** When a hold of its work ended that no charge came after, where nobody has looked yet whether others are open. */
  readonly workEndedAt: Instant | null;
}

/** What tells a group from others. The actor counts where there is neither task nor execution. */
export function groupKey({ work, actor }: Pick<Usage, 'work' | 'actor'>): string {
  return hasWork(work) ? workKey(work) : JSON.stringify([actor.kind, actor.id]);
}

export const workKey = ({ taskId, executionId }: Work): string => JSON.stringify([taskId, executionId, null]);

export const hasWork = ({ taskId, executionId }: Work): boolean => taskId !== null || executionId !== null;

export interface Grouping {
  /** Groups that had not ended: those that the charges and releases belong to, and those that may have ended since. */
  readonly open: readonly UsageGroup[];
  /** In the order of posting. */
  readonly usage: readonly Usage[];
  /** In their order. */
  readonly releases: readonly ReleasedHold[];
  /** The keys of work that has an open hold. */
  readonly heldWork: ReadonlySet<string>;
  /** Everything that was charged before this instant is known. */
  readonly knownTo: Instant;
  /** True where that is now: only then does the end of a hold end a group. */
  readonly isComplete: boolean;
}

export interface Grouped {
  /** In the order of their last charge. */
  readonly ended: readonly UsageGroup[];
  readonly open: readonly UsageGroup[];
}

export function groupUsage(grouping: Grouping): Grouped {
  const { knownTo, isComplete, heldWork } = grouping;
  const groups = new Map(grouping.open.map((group) => [groupKey(group), group]));
  const ended: UsageGroup[] = [];
  for (const event of inOrder(grouping)) {
    if ('postedAt' in event) {
      const key = groupKey(event);
      const group = groups.get(key);
      const goesOn = group !== undefined && takes(group, event);
      if (group && !goesOn) ended.push(group);
      groups.set(key, goesOn ? added(group, event) : begun(event));
    } else {
      const key = workKey(event.work);
      const group = groups.get(key);
      if (group) groups.set(key, { ...group, workEndedAt: event.at });
    }
  }
  const open: UsageGroup[] = [];
  for (const [key, group] of groups) {
    const isWorkOver = isComplete && group.workEndedAt !== null && !heldWork.has(key);
    if (isWorkOver || isOverAt(group, knownTo)) ended.push(group);
    else open.push(isComplete ? { ...group, workEndedAt: null } : group);
  }
  return { ended: ended.toSorted((a, b) => a.lastAt - b.lastAt || a.startedAt - b.startedAt), open };
}

/** At one instant charges come before releases. */
function inOrder({ usage, releases }: Grouping): readonly (Usage | ReleasedHold)[] {
  const timeOf = (event: Usage | ReleasedHold) => ('postedAt' in event ? event.postedAt : event.at);
  return releases.length === 0 ? usage : [...usage, ...releases].sort((a, b) => timeOf(a) - timeOf(b));
}

const isOverAt = ({ lastAt, startedAt }: UsageGroup, at: Instant): boolean =>
  at - lastAt >= QUIET_MILLISECONDS || at - startedAt >= LONGEST_MILLISECONDS;

const takes = (group: UsageGroup, { postedAt, credits }: Usage): boolean =>
  !isOverAt(group, postedAt) && isStorable(group.credits + credits);

const begun = ({ work, actor, credits, postedAt, endsHold }: Usage): UsageGroup => ({
  work,
  actor,
  operations: 1n,
  credits,
  startedAt: postedAt,
  lastAt: postedAt,
  workEndedAt: endsHold && hasWork(work) ? postedAt : null,
});

const added = (group: UsageGroup, { credits, postedAt, endsHold }: Usage): UsageGroup => ({
  ...group,
  operations: group.operations + 1n,
  credits: plus(group.credits, credits),
  lastAt: postedAt,
  workEndedAt: endsHold && hasWork(group.work) ? postedAt : null,
});

/** When to ask next whether a group has ended. */
export const groupDueAt = ({ workEndedAt, lastAt, startedAt }: UsageGroup): Instant =>
  workEndedAt ?? instant(Math.min(lastAt + QUIET_MILLISECONDS, startedAt + LONGEST_MILLISECONDS));

/** "12 operations of task crawl-7: 24 credits" */
export function activityOfUsage(organizationId: string, group: UsageGroup): NewActivity {
  const { work, actor, operations, credits, lastAt } = group;
  const noun = operations === 1n ? 'operation' : 'operations';
  return {
    organizationId,
    kind: 'USAGE',
    summary: `${operations} ${noun}${ofWork(work)}: ${creditsOf(credits)}`,
    credits,
    actor,
    work,
    occurredAt: lastAt,
  };
}
