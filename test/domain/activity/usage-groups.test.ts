/** Charges become groups: when one ends, and that every charge is in exactly one, however the reading is cut. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Work } from '../../../src/domain/activity/activity.ts';
import {
  activityOfUsage,
  groupDueAt,
  groupKey,
  groupUsage,
  hasWork,
  type ReleasedHold,
  type Usage,
  type UsageGroup,
  workKey,
} from '../../../src/domain/activity/usage-groups.ts';
import { micros, sum } from '../../../src/domain/credits/micros.ts';
import { instant } from '../../../src/domain/time/instant.ts';

const KEY = { kind: 'API_KEY', id: 'key-1' } as const;
const OTHER_KEY = { kind: 'API_KEY', id: 'key-2' } as const;
const CRAWL: Work = { taskId: 'crawl-7', executionId: null };
const RUN: Work = { taskId: 'crawl-7', executionId: 'run-9' };
const NONE: Work = { taskId: null, executionId: null };
const MINUTE = 60_000;

const aCharge = (minute: number, usage: Partial<Usage> = {}): Usage => ({
  work: CRAWL,
  actor: KEY,
  credits: micros(-2_000_000n),
  postedAt: instant(minute * MINUTE),
  endsHold: false,
  ...usage,
});

interface Read {
  readonly open?: readonly UsageGroup[];
  readonly releases?: readonly ReleasedHold[];
  readonly held?: readonly Work[];
  readonly isComplete?: boolean;
}

const read = (usage: readonly Usage[], minute: number, { open = [], releases = [], held = [], ...rest }: Read = {}) =>
  groupUsage({
    open,
    usage,
    releases,
    heldWork: new Set(held.map(workKey)),
    knownTo: instant(minute * MINUTE),
    isComplete: true,
    ...rest,
  });

const summaries = (groups: readonly UsageGroup[]) => groups.map((group) => activityOfUsage('o', group).summary);

describe('a group', () => {
  it('ends after five quiet minutes, to the millisecond', () => {
    const charges = [aCharge(0), aCharge(4)];
    const early = groupUsage({ ...grouping(charges), knownTo: instant(9 * MINUTE - 1) });
    expect(early.ended).toEqual([]);
    expect(early.open).toMatchObject([{ operations: 2n, credits: -4_000_000n, lastAt: 4 * MINUTE }]);
    expect(read([], 9, { open: early.open }).ended).toMatchObject([{ operations: 2n, lastAt: 4 * MINUTE }]);
  });

  it('does not take a charge that came after five quiet minutes', () => {
    expect(summaries(read([aCharge(0), aCharge(5), aCharge(6)], 20).ended)).toEqual([
      '1 operation of task crawl-7: 2 credits',
      '2 operations of task crawl-7: 4 credits',
    ]);
  });

  it('ends an hour after its first charge, though it never rests', () => {
    const charges = Array.from({ length: 31 }, (_, index) => aCharge(index * 2));
    const { ended, open } = read(charges, 61);
    expect(ended).toMatchObject([{ operations: 30n, startedAt: 0, lastAt: 58 * MINUTE }]);
    expect(open).toMatchObject([{ operations: 1n, startedAt: 60 * MINUTE }]);
  });

  it('ends at once when a capture has ended the last hold of its work', () => {
    const captured = [aCharge(0), aCharge(1, { endsHold: true })];
    expect(read(captured, 1).ended).toMatchObject([{ operations: 2n }]);
    expect(read(captured, 1, { held: [RUN] }).ended).toHaveLength(1);
    expect(read(captured, 1, { held: [CRAWL] })).toMatchObject({ ended: [], open: [{ operations: 2n }] });
  });

  it('ends at once when a release has, and not where something is charged after it', () => {
    const release = { work: RUN, at: instant(2 * MINUTE) };
    const before = aCharge(2, { work: RUN });
    const after = aCharge(2.5, { work: RUN });
    expect(read([before], 3, { releases: [release] }).ended).toMatchObject([{ operations: 1n }]);
    expect(read([before, after], 3, { releases: [release] })).toMatchObject({ ended: [], open: [{ operations: 2n }] });
    expect(read([aCharge(2)], 3, { releases: [release] }).ended).toEqual([]);
  });

  it('waits with that until everything is read, and is asked about again', () => {
    const partly = read([aCharge(0, { endsHold: true })], 1, { isComplete: false });
    expect(partly).toMatchObject({ ended: [], open: [{ workEndedAt: 0 }] });
    expect(partly.open.map(groupDueAt)).toEqual([0]);
    expect(read([], 2, { open: partly.open }).ended).toMatchObject([{ operations: 1n }]);
    expect(read([aCharge(1.5)], 2, { open: partly.open })).toMatchObject({ ended: [], open: [{ operations: 2n }] });
  });

  it('is of one task and execution, or of one actor where there is neither', () => {
    const charges = [
      aCharge(0),
      aCharge(0, { work: RUN }),
      aCharge(0, { work: { taskId: null, executionId: 'run-9' } }),
      aCharge(0, { actor: OTHER_KEY }),
      aCharge(0, { work: NONE }),
      aCharge(0, { work: NONE, actor: OTHER_KEY }),
    ];
    expect(summaries(read(charges, 10).ended)).toEqual([
      '2 operations of task crawl-7: 4 credits',
      '1 operation of execution run-9 of task crawl-7: 2 credits',
      '1 operation of execution run-9: 2 credits',
      '1 operation: 2 credits',
      '1 operation: 2 credits',
    ]);
  });

  it('is named after who charged first, and knows keys that look like work from work', () => {
    const first = aCharge(0);
    expect(read([first, aCharge(1, { actor: OTHER_KEY })], 10).ended).toMatchObject([{ actor: KEY }]);
    const odd = { work: NONE, actor: { kind: 'API_KEY', id: 'crawl-7' } } as const;
    expect(groupKey(odd)).not.toBe(workKey({ taskId: 'API_KEY', executionId: 'crawl-7' }));
  });

  it('counts free work', () => {
    expect(summaries(read([aCharge(0, { credits: micros(0n) })], 10).ended)).toEqual([
      '1 operation of task crawl-7: 0 credits',
    ]);
  });

  it('ends before its sum would leave 64 bits', () => {
    const huge = { credits: micros(-(2n ** 62n)) };
    expect(read([aCharge(0, huge), aCharge(1, huge), aCharge(2, huge)], 20).ended).toHaveLength(3);
  });
});

const grouping = (usage: readonly Usage[]) => ({
  open: [],
  usage,
  releases: [],
  heldWork: new Set<string>(),
  knownTo: instant(0),
  isComplete: true,
});

describe('what is read in any portions', () => {
  const work = fc.constantFrom(CRAWL, RUN, NONE);
  const charge = fc.record({
    work,
    actor: fc.constantFrom(KEY, OTHER_KEY),
    credits: fc.bigInt({ min: -5_000_000n, max: 0n }).map(micros),
    gap: fc.integer({ min: 0, max: 400_000 }),
    endsHold: fc.boolean(),
  });
  const portions = fc.array(fc.record({ size: fc.integer({ min: 0, max: 7 }), isComplete: fc.boolean() }));

  it('puts every charge into one group, and adds up', () => {
    fc.assert(
      fc.property(fc.array(charge, { maxLength: 40 }), portions, (gaps, cuts) => {
        let now = 0;
        const usage = gaps.map(({ gap, ...rest }): Usage => {
          now += gap;
          return { ...rest, postedAt: instant(now) };
        });
        let open: readonly UsageGroup[] = [];
        let rest: readonly Usage[] = usage;
        const ended: UsageGroup[] = [];
        for (const { size, isComplete } of [...cuts, { size: usage.length, isComplete: true }]) {
          const part = rest.slice(0, size);
          rest = rest.slice(size);
          const knownTo = part.at(-1)?.postedAt ?? instant(0);
          const grouped = groupUsage({ ...grouping(part), open, knownTo, isComplete });
          ended.push(...grouped.ended);
          open = grouped.open;
        }
        expect(new Set(open.map(groupKey)).size).toBe(open.length);
        ended.push(...groupUsage({ ...grouping([]), open, knownTo: instant(now + 300_000) }).ended);
        expect(ended.reduce((count, group) => count + Number(group.operations), 0)).toBe(usage.length);
        expect(sum(ended.map((group) => group.credits))).toBe(sum(usage.map(({ credits }) => credits)));
        for (const { startedAt, lastAt, actor, work: of } of ended) {
          expect(lastAt - startedAt).toBeLessThan(3_600_000);
          const own = usage.filter((one) => groupKey(one) === groupKey({ work: of, actor }));
          expect(own.some(({ postedAt }) => postedAt === startedAt)).toBe(true);
          expect(hasWork(of) || own.every((one) => one.actor === actor)).toBe(true);
        }
      }),
    );
  });
});
