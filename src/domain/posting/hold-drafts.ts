/** The holds of one wallet within a batch: those that were loaded and those that it makes. */
import { type Micros, micros, plus, sum, ZERO } from '../credits/micros.ts';
import type { HoldFacts, HoldSnapshot, HoldState, HoldStatus } from '../holds/hold.ts';
import type { OperationCount } from '../limits/frequency-cap.ts';
import type { Instant } from '../time/instant.ts';
import type { DraftLot, LotDrafts } from './lot-drafts.ts';

export interface DraftPin {
  readonly lot: DraftLot;
  /** Its place in the burn order of when the hold was made, from 0. */
  readonly position: number;
  pinned: Micros;
}

export interface DraftHold {
  readonly facts: HoldFacts;
  readonly isNew: boolean;
  readonly pins: DraftPin[];
  status: HoldStatus;
  captured: Micros;
  /** What it has reserved of frequency caps and not used; none once it is not open. */
  operations: readonly OperationCount[];
  expiresAt: Instant;
  /** When it ended; null while it is open. */
  resolvedAt: Instant | null;
}

export const remainingOf = ({ pins }: DraftHold): Micros => sum(pins.map((pin) => pin.pinned));

/** What a capture may take: freezing a lot excludes even what is pinned of it. */
export const capturableOf = ({ pins }: DraftHold): Micros => sum(pins.map(capturable));

export const capturable = ({ lot, pinned }: DraftPin): Micros => (lot.frozen ? ZERO : pinned);

export function stateOf(hold: DraftHold): HoldState {
  const { status, captured, expiresAt } = hold;
  return { status, captured, remaining: remainingOf(hold), expiresAt };
}

export class HoldDrafts {
  readonly #byId: Map<string, DraftHold>;
  readonly #changed = new Set<DraftHold>();
  readonly #lots: LotDrafts;

  constructor(snapshots: readonly HoldSnapshot[], lots: LotDrafts) {
    this.#lots = lots;
    // As they were made, however they were loaded: those that lapse at one instant do so in this order.
    const asMade = snapshots.toSorted((a, b) => (a.facts.id < b.facts.id ? -1 : 1));
    this.#byId = new Map(asMade.map((snapshot) => [snapshot.facts.id, this.#draft(snapshot)]));
  }

  get all(): Iterable<DraftHold> {
    return this.#byId.values();
  }

  find(id: string): DraftHold | undefined {
    return this.#byId.get(id);
  }

  /** Holds to insert, with all their pins. */
  get opened(): readonly DraftHold[] {
    return [...this.#changed].filter((hold) => hold.isNew);
  }

  /** Loaded holds to update, with their pins. */
  get changed(): readonly DraftHold[] {
    return [...this.#changed].filter((hold) => !hold.isNew);
  }

  /** Holds that the batch has ended. */
  get resolved(): readonly DraftHold[] {
    return this.#changed.size === 0 ? [] : [...this.#changed].filter((hold) => hold.resolvedAt !== null);
  }

  open(facts: HoldFacts, expiresAt: Instant): DraftHold {
    const state = { status: 'OPEN' as const, captured: ZERO, expiresAt, resolvedAt: null };
    const hold: DraftHold = { facts, isNew: true, pins: [], operations: [], ...state };
    this.#byId.set(facts.id, hold);
    this.#changed.add(hold);
    return hold;
  }

  pin(hold: DraftHold, lot: DraftLot, amount: Micros): void {
    this.#lots.changePinned(lot, amount);
    hold.pins.push({ lot, position: hold.pins.length, pinned: amount });
  }

  changePin(hold: DraftHold, pin: DraftPin, amount: Micros): void {
    this.#lots.changePinned(pin.lot, amount);
    pin.pinned = plus(pin.pinned, amount);
    this.#changed.add(hold);
  }

  /** Ends its claim on what it has not used. */
  unpin(hold: DraftHold): void {
    for (const pin of hold.pins) this.changePin(hold, pin, micros(-pin.pinned));
    if (remainingOf(hold) !== ZERO) throw new Error('a hold that ends has nothing pinned');
  }

  capture(hold: DraftHold, amount: Micros): void {
    hold.captured = plus(hold.captured, amount);
    this.#changed.add(hold);
  }

  extend(hold: DraftHold, expiresAt: Instant): void {
    hold.expiresAt = expiresAt;
    this.#changed.add(hold);
  }

  resolve(hold: DraftHold, status: Exclude<HoldStatus, 'OPEN'>, at: Instant): void {
    hold.status = status;
    hold.resolvedAt = at;
    this.#changed.add(hold);
  }

  #draft({ facts, state, operations, pins }: HoldSnapshot): DraftHold {
    return {
      facts,
      isNew: false,
      pins: pins.map(({ lot, pinned }, position) => ({ lot: this.#lots.draft(lot), position, pinned })),
      status: state.status,
      captured: state.captured,
      operations,
      expiresAt: state.expiresAt,
      resolvedAt: null,
    };
  }
}
