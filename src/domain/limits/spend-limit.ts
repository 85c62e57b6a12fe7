/**
 * Caps and limits on credits within a window: how much may be charged an hour, a day or a month. A plan caps the day of its
 * organizations; an organization sets spend limits of its own. A counter holds what was charged or
 * reserved in its present window; a new window starts at zero.
 */
import { type Micros, ZERO } from '../credits/micros.ts';
import { groupBy } from '../group-by.ts';
import type { Spender } from '../spender.ts';
import type { Period } from '../time/calendar.ts';
import type { Instant } from '../time/instant.ts';
import type { LimitWindow } from './plan-limit.ts';

/** The plan's cap on credits a local day. */
export const DAILY_CREDIT_CAP = 'daily_credit_cap_exceeded';

/** In the order in which they refuse. */
export const SPEND_LIMIT_SCOPES = ['ORGANIZATION', 'PROJECT', 'USER', 'API_KEY'] as const;

export type SpendLimitScope = (typeof SPEND_LIMIT_SCOPES)[number];

/** A limit that somebody has set. There is one at most for each target and window. */
export interface SpendLimit {
  readonly id: string;
  readonly scope: SpendLimitScope;
  /** The project, member or key; null for the whole organization. */
  readonly targetId: string | null;
  readonly window: LimitWindow;
  /** The most that may be charged in one window; 0 stops all that costs something. */
  readonly credits: Micros;
}

/** A cap or limit as it applies to one charge. */
export interface WindowedLimit {
  /** What its counter is kept under: the code of the plan's cap, the id of a spend limit. */
  readonly counter: string;
  /** What a refusal calls it. */
  readonly limitCode: string;
  readonly limit: Micros;
  readonly window: Period;
  /** Null for the plan's cap. */
  readonly spendLimitId: string | null;
}

/** A limit as a charge found it. */
export interface CheckedLimit {
  readonly limitCode: string;
  readonly limit: Micros;
  /** Charged or reserved in the window before. */
  readonly used: Micros;
  /** True where it refused the charge. */
  readonly blocked: boolean;
}

/** What a counter holds for the window that begins at `windowStart`. */
export interface SpendCount {
  /** As of `WindowedLimit`. */
  readonly counter: string;
  readonly windowStart: Instant;
  readonly used: Micros;
}

/** Finds what a charge of `cost` meets. Free work passes every limit on credits. */
export function checkLimit({ limitCode, limit }: WindowedLimit, used: Micros, cost: Micros): CheckedLimit {
  return { limitCode, limit, used, blocked: cost > ZERO && used + cost > limit };
}

const WINDOW_NAMES: Readonly<Record<LimitWindow, string>> = { HOUR: 'hourly', DAY: 'daily', MONTH: 'monthly' };
/** In the order in which they refuse. */
const WINDOWS = Object.keys(WINDOW_NAMES);

/** "project_monthly_limit_exceeded" */
export const limitCodeOf = ({ scope, window }: Pick<SpendLimit, 'scope' | 'window'>): string =>
  `${scope.toLowerCase()}_${WINDOW_NAMES[window]}_limit_exceeded`;

const NONE: readonly never[] = [];

/** The spend limits of one organization by whom they limit. */
export class SpendLimits {
  readonly #byTarget: ReadonlyMap<string, readonly SpendLimit[]>;

  constructor(limits: readonly SpendLimit[]) {
    const shortestFirst = limits.toSorted((a, b) => WINDOWS.indexOf(a.window) - WINDOWS.indexOf(b.window));
    this.#byTarget = groupBy(shortestFirst, ({ scope, targetId }) => targetKey(scope, targetId));
  }

  /** Those that a charge of the spender meets, in the order in which they refuse: by scope, then the shorter window. */
  of({ userId, projectId, apiKeyId }: Spender): readonly SpendLimit[] {
    if (this.#byTarget.size === 0) return NONE;
    const targets = { ORGANIZATION: null, PROJECT: projectId, USER: userId, API_KEY: apiKeyId };
    return SPEND_LIMIT_SCOPES.flatMap((scope) => this.#byTarget.get(targetKey(scope, targets[scope])) ?? NONE);
  }
}

const targetKey = (scope: SpendLimitScope, targetId: string | null): string => `${scope} ${targetId ?? ''}`;
