/**
 * What fast-check makes up. A wish names holds, transactions and earlier commands by chance numbers, and instants by their
 * distance; it becomes a command when it is its turn and is known what there is.
 */
import fc from 'fast-check';
import { BUCKETS } from './naive-books.ts';
import { DAY, HOUR } from './naive-calendar.ts';
import { METERS } from './naive-rates.ts';
import { AHEAD, CEILING, DEFAULT_LIFE, LATENESS, type LimitRules, MAX_LIFE, PLANS } from './rules.ts';

const one = <Kind extends string>(kind: Kind) => fc.constant(kind);
const amounts = fc.bigInt({ min: 1n, max: 120n });
const nth = fc.nat(1_000);
const overage = fc.oneof(
  { weight: 2, arbitrary: fc.constant('REJECT' as const) },
  { weight: 1, arbitrary: fc.constant('CAP' as const) },
  { weight: 2, arbitrary: fc.constant('DEBT' as const) },
);

const line = fc.record({
  meter: fc.oneof(
    { weight: 40, arbitrary: fc.constantFrom(...METERS) },
    { weight: 1, arbitrary: fc.constant('unheard-of') },
  ),
  halves: fc.integer({ min: 0, max: 40 }),
  tier: fc.constantFrom(null, null, 'pro', 'basic'),
  preview: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

const amountCharge = fc.record({
  kind: one('amount'),
  amount: fc.oneof(
    { weight: 15, arbitrary: amounts },
    { weight: 1, arbitrary: fc.constantFrom(CEILING, CEILING + 1n) },
  ),
});
const usageCharge = fc.record({ kind: one('usage'), lines: fc.array(line, { minLength: 1, maxLength: 3 }) });
const charge = fc.oneof(amountCharge, usageCharge);

/** Distance from now; mostly none is given. */
const occurred = fc.oneof(
  { weight: 6, arbitrary: fc.constant(null) },
  { weight: 3, arbitrary: fc.constantFrom(0, -1, -HOUR, -2 * DAY, -LATENESS, AHEAD) },
  { weight: 1, arbitrary: fc.constantFrom(-LATENESS - 1, AHEAD + 1) },
);

const inProject = fc.boolean();
const debit = fc.record({ kind: one('debit'), charge, overage, occurredIn: occurred, inProject });

const again = fc.record({ kind: one('again'), nth });

const event = fc.oneof(
  { weight: 16, arbitrary: fc.record({ kind: one('event'), line, overage, occurredIn: occurred, inProject }) },
  { weight: 2, arbitrary: fc.record({ kind: one('event-again'), nth }) },
  { weight: 1, arbitrary: fc.record({ kind: one('event-invalid') }) },
);

const lives = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(1, 60_000, DEFAULT_LIFE, MAX_LIFE + 1) },
  { weight: 5, arbitrary: fc.constantFrom(HOUR, 3 * HOUR, DAY, MAX_LIFE) },
);

const fresh = fc.oneof(
  { weight: 9, arbitrary: debit },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: one('events'),
      mode: fc.constantFrom('EACH' as const, 'UNTIL_BLOCKED' as const, 'ALL_OR_NOTHING' as const),
      events: fc.array(event, { minLength: 1, maxLength: 5 }),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({ kind: one('authorize'), charge, inProject, life: fc.option(lives, { freq: 2 }) }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: one('capture'),
      nth,
      charge: fc.option(charge, { freq: 2 }),
      final: fc.boolean(),
      overage,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: one('release'), nth }) },
  { weight: 2, arbitrary: fc.record({ kind: one('extend'), nth, life: lives }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: one('refund'),
      nth,
      amount: fc.option(fc.bigInt({ min: 1n, max: 60n }), { freq: 1 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: one('grant'),
      amount: amounts,
      bucket: fc.oneof(
        { weight: 12, arbitrary: fc.constantFrom(...BUCKETS) },
        { weight: 1, arbitrary: fc.constant('nowhere') },
      ),
      expiresIn: fc.option(fc.constantFrom(-1, 0, 1, HOUR, DAY, 3 * DAY, 30 * DAY), { freq: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one('adjust'),
      amount: fc.bigInt({ min: -60n, max: 60n }).filter((amount) => amount !== 0n),
      bucket: fc.constantFrom(...BUCKETS),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one('pay'),
      purchase: fc.constantFrom(0, 1, 2, null),
      outcome: fc.constantFrom('PAID' as const, 'PAID' as const, 'FAILED' as const, 'EXPIRED' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: one('subscribe'),
      plan: fc.constantFrom(...Object.keys(PLANS)),
      when: fc.constantFrom(null, null, 'NOW', 'PERIOD_END'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: one('cancel'), atPeriodEnd: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: one('resume') }) },
  { weight: 1, arbitrary: fc.record({ kind: one('settle') }) },
);

const wish = fc.oneof(
  { weight: 20, arbitrary: fresh },
  { weight: 2, arbitrary: again },
  { weight: 1, arbitrary: fc.record({ kind: one('other-under-key'), nth, fresh }) },
);

export type Fresh = typeof fresh extends fc.Arbitrary<infer Value> ? Value : never;
export type Wish = typeof wish extends fc.Arbitrary<infer Value> ? Value : never;

/** By how much the clock moves before a step: by itself, or to what is due next and hardly past or before it. */
const advance = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: one('by'), span: fc.constant(0) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: one('by'),
      span: fc.constantFrom(1, 999, HOUR / 4, HOUR / 2, HOUR, 90 * 60_000, DAY - 1, DAY, DAY + HOUR, 3 * DAY, 29 * DAY),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: one('due'), past: fc.constantFrom(-1, 0, 0, 1) }) },
);

/** What the organization or its project may spend. */
const limit: fc.Arbitrary<LimitRules> = fc.record({
  scope: fc.constantFrom('ORGANIZATION' as const, 'PROJECT' as const),
  window: fc.constantFrom('HOUR' as const, 'DAY' as const, 'MONTH' as const),
  max: fc.oneof(
    { weight: 1, arbitrary: fc.constant(0n) },
    { weight: 12, arbitrary: fc.bigInt({ min: 40n, max: 500n }) },
  ),
});

/** Those there are from the beginning: one for each window of each. */
const limits: fc.Arbitrary<readonly LimitRules[]> = fc.oneof(
  { weight: 1, arbitrary: fc.constant([]) },
  {
    weight: 2,
    arbitrary: fc.uniqueArray(limit, {
      selector: ({ scope, window }) => `${scope} ${window}`,
      minLength: 1,
      maxLength: 4,
    }),
  },
);

const step = fc.record({
  advance,
  /** The status that the subscription takes on; mostly it keeps its own. */
  status: fc.oneof(
    { weight: 30, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom('PAST_DUE', 'CANCELED') },
    { weight: 6, arbitrary: fc.constantFrom('ACTIVE', 'TRIALING') },
  ),
  frozen: fc.oneof({ weight: 30, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  /** The limit that is set or changed before the commands. */
  limit: fc.option(limit, { freq: 9 }),
  /** Sent at once. */
  wishes: fc.array(wish, { minLength: 1, maxLength: 4 }),
});

const lotsOf = (amount: fc.Arbitrary<bigint>, buckets: readonly string[], length: fc.ArrayConstraints) =>
  fc.array(fc.record({ amount, bucket: fc.constantFrom(...buckets) }), length);

/** Granted before the first step: enough to spend, and sometimes more lots than are loaded at once. */
const firstLots = fc.oneof(
  { weight: 9, arbitrary: lotsOf(amounts, BUCKETS, { maxLength: 4 }) },
  { weight: 1, arbitrary: lotsOf(fc.bigInt({ min: 1n, max: 5n }), ['purchased'], { minLength: 21, maxLength: 24 }) },
);

export const sequences = fc.record({
  timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu'),
  plan: fc.constantFrom(...Object.keys(PLANS)),
  subscribed: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  anchorDay: fc.constantFrom(1, 28, 30, 31),
  hasAllowances: fc.boolean(),
  expiredRefund: fc.constantFrom('NEW_LOT' as const, 'FORFEIT' as const),
  lots: firstLots,
  limits,
  steps: fc.array(step, { minLength: 5, maxLength: 12 }),
});

export type Sequence = typeof sequences extends fc.Arbitrary<infer Value> ? Value : never;
export type Step = Sequence['steps'][number];
