/**
 * What one transaction moves of a wallet. All that is moved is entered in the ledger, lot by lot; the end of a hold's claim
 * moves nothing.
 */
import { type Micros, micros, minus, plus, smaller, ZERO } from '../credits/micros.ts';
import type { ReasonCode } from '../ledger/reason-code.ts';
import type { Instant } from '../time/instant.ts';
import type { Movement } from './entry-log.ts';
import { type Funds, POOL, takeFrom, takeInBurnOrder } from './funds.ts';
import { capturable, type DraftHold, type HoldDrafts } from './hold-drafts.ts';
import type { DraftBucket, DraftLot, LotDrafts, NewLot } from './lot-drafts.ts';

/** The reason code of what new credits pay back of a debt. */
export const DEBT_REPAYMENT = 'DEBT_REPAYMENT';

/** Makes the movements of one transaction; exists only while that transaction is being posted. */
export interface Movements {
  /**
   * Takes `amount` of what somebody may spend, in burn order; without them, of what is for nobody in particular. The caller has
   * checked that it is available.
   */
  spend(amount: Micros, reasonCode: ReasonCode, funds?: Funds): void;
  /** Takes `amount` of what one bucket has for nobody in particular, in burn order. */
  spendFrom(bucket: DraftBucket, amount: Micros, reasonCode: ReasonCode): void;
  /** Takes `amount` of what a hold has pinned, in the order of its pins. */
  spendHeld(hold: DraftHold, amount: Micros, reasonCode: ReasonCode): void;
  /** Takes `amount` out of one lot. */
  debitLot(lot: DraftLot, amount: Micros, reasonCode: ReasonCode): void;
  /** Puts a new lot into the wallet. */
  grant(lot: NewLot, reasonCode: ReasonCode): DraftLot;
  /** Puts `amount` back into a lot. */
  creditLot(lot: DraftLot, amount: Micros, reasonCode: ReasonCode): void;
  /** Spends `amount` that the wallet does not have. */
  borrow(amount: Micros, reasonCode: ReasonCode): void;
  /** Takes `amount` off what the wallet owes. */
  repay(amount: Micros, reasonCode: ReasonCode): void;
  /** Ends a hold's claim on what it has not used. */
  unpin(hold: DraftHold): void;
}

/** What movements change of a wallet. */
export interface MovedWallet {
  readonly now: Instant;
  readonly lots: LotDrafts;
  readonly holds: HoldDrafts;
  /** Lots that have paid back what the wallet owed, oldest first. */
  readonly repaying: DraftLot[];
  debt: Micros;
  /** Set where lots or holds change, so that the next transition must be looked up again. */
  transitionsChanged: boolean;
}

/** `enter` makes the entry of a movement. */
export function movementsOf(wallet: MovedWallet, newId: () => string, enter: (movement: Movement) => void): Movements {
  const debitLot = (lot: DraftLot, amount: Micros, reasonCode: ReasonCode) => {
    wallet.lots.changeRemaining(lot, micros(-amount));
    enter({ direction: 'DEBIT', amount, reasonCode, lot });
  };
  const repay = (amount: Micros, reasonCode: ReasonCode) => {
    wallet.debt = minus(wallet.debt, amount);
    enter({ direction: 'CREDIT', amount, reasonCode, lot: null });
  };
  return {
    debitLot,
    repay,
    spend: (amount, reasonCode, funds = POOL) =>
      takeInBurnOrder(wallet.lots, amount, funds, (lot, taken) => {
        debitLot(lot, taken, reasonCode);
        wallet.lots.allocations.use(lot, taken);
      }),
    spendFrom: (bucket, amount, reasonCode) =>
      takeFrom(bucket, amount, (lot, taken) => debitLot(lot, taken, reasonCode)),
    spendHeld: (hold, amount, reasonCode) => {
      let rest = amount;
      for (const pin of hold.pins) {
        const taken = smaller(rest, capturable(pin));
        if (taken === ZERO) continue;
        wallet.holds.changePin(hold, pin, micros(-taken));
        debitLot(pin.lot, taken, reasonCode);
        wallet.lots.allocations.use(pin.lot, taken);
        rest = minus(rest, taken);
      }
      if (rest !== ZERO) throw new Error('more was captured than is held');
    },
    grant: (spec, reasonCode) => {
      const lot = wallet.lots.add(newId(), spec, wallet.now);
      wallet.transitionsChanged = true;
      enter({ direction: 'CREDIT', amount: spec.amount, reasonCode, lot });
      const owed = spec.repaysDebt && lot.inForce ? smaller(wallet.debt, spec.amount) : ZERO;
      if (owed > ZERO) {
        debitLot(lot, owed, DEBT_REPAYMENT);
        repay(owed, DEBT_REPAYMENT);
        wallet.repaying.push(lot);
      }
      return lot;
    },
    creditLot: (lot, amount, reasonCode) => {
      wallet.lots.changeRemaining(lot, amount);
      wallet.transitionsChanged = true;
      enter({ direction: 'CREDIT', amount, reasonCode, lot });
    },
    borrow: (amount, reasonCode) => {
      wallet.debt = plus(wallet.debt, amount);
      enter({ direction: 'DEBIT', amount, reasonCode, lot: null });
    },
    unpin: (hold) => {
      wallet.holds.unpin(hold);
      wallet.transitionsChanged = true;
    },
  };
}
