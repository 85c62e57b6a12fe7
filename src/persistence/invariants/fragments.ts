/** Pieces of SQL that invariants share. */
import { fragment } from '../connection.ts';

/** What an entry `e` adds to the balance. */
export const SIGNED = fragment`CASE e.direction WHEN 'CREDIT' THEN e.amount_micros ELSE -e.amount_micros END`;

/** What a hold `h` has pinned, found by its id. */
export const PINS_OF_HOLD = fragment`SELECT lot_id, pinned_micros FROM public.hold_pin WHERE hold_id = h.id OFFSET 0`;
