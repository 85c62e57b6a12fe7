/**
 * The commands of the model: what the engine is asked, in the model's own words. Holds, transactions and purchases are
 * named by their number in the model; whoever sends a command to the engine puts the engine's ids in their place.
 */
import type { UsedLine } from './naive-rates.ts';

export type Overage = 'REJECT' | 'CAP' | 'DEBT';

export type NaiveCharge =
  | { readonly kind: 'amount'; readonly amount: bigint }
  | { readonly kind: 'usage'; readonly lines: readonly UsedLine[] };

export interface NaiveDebit {
  /** An event is a debit of one usage line within a call; its keys are not those of debits. */
  readonly kind: 'debit' | 'event';
  readonly key: string;
  readonly charge: NaiveCharge;
  readonly overage: Overage;
  readonly occurredAt: number | null;
  /** True where it is attributed to the one project. */
  readonly inProject: boolean;
}

export type NaiveKeyed =
  | NaiveDebit
  | {
      readonly kind: 'authorize';
      readonly key: string;
      readonly charge: NaiveCharge;
      readonly life: number | null;
      readonly inProject: boolean;
    }
  | {
      readonly kind: 'capture';
      readonly key: string;
      readonly hold: number | null;
      readonly charge: NaiveCharge | null;
      readonly final: boolean;
      readonly overage: Overage;
    }
  | { readonly kind: 'release'; readonly key: string; readonly hold: number | null }
  | { readonly kind: 'extend'; readonly key: string; readonly hold: number | null; readonly life: number }
  | {
      readonly kind: 'refund';
      readonly key: string;
      readonly transaction: number | null;
      readonly amount: bigint | null;
    }
  | {
      readonly kind: 'grant';
      readonly key: string;
      readonly amount: bigint;
      readonly bucket: string;
      readonly expiresAt: number | null;
    }
  | { readonly kind: 'adjust'; readonly key: string; readonly amount: bigint; readonly bucket: string }
  | { readonly kind: 'subscribe'; readonly key: string; readonly plan: string; readonly when: When };

/** When a plan begins; null leaves it to the rules. */
export type When = 'NOW' | 'PERIOD_END' | null;

export interface NaiveEvents {
  readonly kind: 'events';
  readonly mode: 'EACH' | 'UNTIL_BLOCKED' | 'ALL_OR_NOTHING';
  /** Null for an event that was found invalid before it came to the engine. */
  readonly events: readonly (NaiveDebit | null)[];
}

export type NaiveCommand =
  | NaiveKeyed
  | NaiveEvents
  | { readonly kind: 'pay'; readonly purchase: number | null; readonly outcome: 'PAID' | 'FAILED' | 'EXPIRED' }
  | { readonly kind: 'cancel'; readonly atPeriodEnd: boolean }
  | { readonly kind: 'resume' }
  | { readonly kind: 'settle' };

/** What a key is bound to: everything that the caller said. */
export const payloadOf = ({ key: _, ...payload }: NaiveKeyed): string =>
  JSON.stringify(payload, (_name, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
