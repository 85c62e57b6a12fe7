/**
 * Publishes usage as activity: reads what was charged since the last time, groups it and writes the groups that have ended. One
 * reader of a wallet at a time; the wallet itself is locked only to read the clock and to write, so that charges go on. A run
 * that is cut short has done nothing, and the next one does it again. Those who watch are told after the commit.
 */
import { activityOfUsage, groupKey, groupUsage, hasWork, type UsageGroup } from '../domain/activity/usage-groups.ts';
import type { Tenant } from '../domain/identity/caller.ts';
import type { Instant } from '../domain/time/instant.ts';
import type { Queryable } from '../persistence/connection.ts';
import { writeActivities } from '../persistence/reports/activities.ts';
import {
  deleteGroups,
  ensureWatermark,
  heldWorks,
  lockWallet,
  lockWatermark,
  moveWatermark,
  openGroups,
  postedBefore,
  releasedHolds,
  saveGroups,
  scheduleUsage,
  usageAfter,
  usageDue,
} from '../persistence/reports/usage-groups.ts';
import type { Services } from './services.ts';

/** Charges and groups of one run. */
const MAX_ROWS = 5_000;
/** Runs that a reader waits for; a job does the rest. */
const ROUNDS_OF_A_READ = 3;

type Publishing = Pick<Services, 'sql' | 'feed'>;

/** What is due in the organizations. Costs one statement where nothing is. */
export async function publishUsage(services: Publishing, organizationIds: readonly string[]): Promise<void> {
  for (const tenant of await usageDue(services.sql, organizationIds)) {
    for (let round = 0; round < ROUNDS_OF_A_READ; round++) {
      if (await publishUsageOf(services, tenant)) break;
    }
  }
}

/** One run. False where more of the wallet is due. */
export async function publishUsageOf({ sql, feed }: Publishing, tenant: Tenant): Promise<boolean> {
  const { walletId } = tenant;
  const now = await postedBefore(sql, walletId);
  await ensureWatermark(sql, walletId, now);
  const { isAll, written } = await sql.begin((tx) => publish(tx, tenant, now));
  if (written > 0) feed.published([tenant]);
  return isAll;
}

interface Published {
  /** False where more of the wallet is due. */
  readonly isAll: boolean;
  /** How many activities were added. */
  readonly written: number;
}

async function publish(tx: Queryable, { walletId, organizationId }: Tenant, now: Instant): Promise<Published> {
  const watermark = await lockWatermark(tx, walletId);
  const usage = await usageAfter(tx, walletId, watermark, { before: now, limit: MAX_ROWS });
  const last = usage.length === MAX_ROWS ? usage.at(-1) : undefined;
  const isComplete = last === undefined;
  const knownTo = last?.postedAt ?? now;
  const releases = isComplete ? await releasedHolds(tx, walletId, watermark.releasedTo, now) : [];
  // A release has no actor that counts: what it names has a task or execution.
  const ofReleases = releases.map(({ work }) => ({ work, actor: NOBODY }));
  const named = distinct([...usage, ...ofReleases]);
  const before = await openGroups(tx, walletId, named, { dueBy: knownTo, limit: MAX_ROWS });
  const perhapsOver = isComplete
    ? worksOf([...before.filter(isEnding), ...usage.filter(isLastOfHold), ...ofReleases])
    : [];
  const heldWork = await heldWorks(tx, walletId, perhapsOver);
  const { ended, open } = groupUsage({ open: before, usage, releases, heldWork, knownTo, isComplete });
  await lockWallet(tx, walletId);
  const stillOpen = new Set(open.map(groupKey));
  await deleteGroups(
    tx,
    walletId,
    before.filter((group) => !stillOpen.has(groupKey(group))),
  );
  await saveGroups(tx, walletId, open);
  const { postedAt, transactionId } = usage.at(-1) ?? watermark;
  const releasedTo = isComplete ? now : watermark.releasedTo;
  await moveWatermark(tx, walletId, { postedAt, transactionId, releasedTo });
  await scheduleUsage(tx, walletId);
  await writeActivities(
    tx,
    ended.map((group) => activityOfUsage(organizationId, group)),
  );
  return { isAll: isComplete && before.length < MAX_ROWS, written: ended.length };
}

const NOBODY = { kind: 'SYSTEM', id: '' } as const;

type Keyed = Pick<UsageGroup, 'work' | 'actor'>;

const isEnding = ({ workEndedAt }: UsageGroup): boolean => workEndedAt !== null;
const isLastOfHold = ({ endsHold }: { readonly endsHold: boolean }): boolean => endsHold;

const distinct = (keyed: readonly Keyed[]): readonly Keyed[] => [
  ...new Map(keyed.map((one) => [groupKey(one), one])).values(),
];

const worksOf = (keyed: readonly Keyed[]): readonly UsageGroup['work'][] =>
  distinct(keyed.filter(({ work }) => hasWork(work))).map(({ work }) => work);
