/** Everything that must hold in the books, in the order in which it is asked and reported. */
import { BALANCES } from './balances.ts';
import { EFFECTS } from './effects.ts';
import { HOLDS } from './holds.ts';
import type { Invariant } from './invariant.ts';
import { NUMBERING } from './numbering.ts';
import { OWNERSHIP } from './ownership.ts';
import { REFUNDS } from './refunds.ts';
import { REPORTS } from './reports.ts';

export const INVARIANTS: readonly Invariant[] = [
  ...BALANCES,
  ...HOLDS,
  ...REFUNDS,
  ...NUMBERING,
  ...EFFECTS,
  ...OWNERSHIP,
  ...REPORTS,
];
