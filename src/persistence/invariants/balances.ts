/** What a wallet, its debt, its lots, buckets and allocations come to is what their entries or parts add up to. */
import { fragment } from '../connection.ts';
import { SIGNED } from './fragments.ts';
import type { Invariant } from './invariant.ts';

export const BALANCES: readonly Invariant[] = [
  {
    name: 'wallet = Σ entries',
    readsHistory: true,
    freezes: true,
    offences: fragment`
      SELECT w.id AS wallet_id, 'balance' AS subject, coalesce(s.total, 0)::text AS expected,
        w.balance_micros::text AS found
      FROM wallet w
      LEFT JOIN (SELECT e.wallet_id, sum(${SIGNED}) AS total FROM ledger_entry e GROUP BY e.wallet_id) s
        ON s.wallet_id = w.id
      WHERE w.balance_micros <> coalesce(s.total, 0)`,
  },
  {
    name: 'wallet = Σ lots − debt',
    readsHistory: false,
    freezes: true,
    offences: fragment`
      SELECT w.id AS wallet_id, 'balance' AS subject, (coalesce(s.total, 0) - w.debt_micros)::text AS expected,
        w.balance_micros::text AS found
      FROM wallet w
      LEFT JOIN (SELECT wallet_id, sum(remaining_micros) AS total FROM lot GROUP BY wallet_id) s ON s.wallet_id = w.id
      WHERE w.balance_micros <> coalesce(s.total, 0) - w.debt_micros`,
  },
  {
    name: 'debt = Σ entries without a lot',
    readsHistory: true,
    freezes: true,
    offences: fragment`
      SELECT w.id AS wallet_id, 'debt' AS subject, coalesce(s.total, 0)::text AS expected, w.debt_micros::text AS found
      FROM wallet w
      LEFT JOIN (
        SELECT e.wallet_id, -sum(${SIGNED}) AS total FROM ledger_entry e WHERE e.lot_id IS NULL GROUP BY e.wallet_id
      ) s ON s.wallet_id = w.id
      WHERE w.debt_micros <> coalesce(s.total, 0)`,
  },
  {
    name: 'lot = granted − its moves',
    readsHistory: true,
    freezes: true,
    // The first entry of a lot brings what was granted.
    offences: fragment`
      SELECT l.wallet_id, 'lot ' || l.id AS subject,
        (l.granted_micros + coalesce(m.total - m.opening, 0))::text || ' of ' || coalesce(m.opening, 0)::text AS expected,
        l.remaining_micros::text || ' of ' || l.granted_micros::text AS found
      FROM lot l
      LEFT JOIN (
        SELECT e.lot_id, sum(${SIGNED}) AS total, (array_agg(${SIGNED} ORDER BY e.sequence))[1] AS opening
        FROM ledger_entry e WHERE e.lot_id IS NOT NULL GROUP BY e.lot_id
      ) m ON m.lot_id = l.id
      WHERE l.remaining_micros <> coalesce(m.total, 0) OR l.granted_micros <> coalesce(m.opening, 0)
        OR l.remaining_micros NOT BETWEEN 0 AND l.granted_micros`,
  },
  {
    name: 'bucket = Σ lots',
    readsHistory: false,
    freezes: true,
    offences: fragment`
      SELECT b.wallet_id, 'bucket ' || b.key AS subject,
        concat_ws(', ', 'available ' || l.available, 'earmarked ' || l.earmarked, 'pinned ' || l.pinned,
          'frozen ' || l.frozen) AS expected,
        concat_ws(', ', 'available ' || b.available_micros, 'earmarked ' || b.earmarked_micros,
          'pinned ' || b.pinned_micros, 'frozen ' || b.frozen_micros) AS found
      FROM bucket b
      LEFT JOIN (
        SELECT bucket_id, coalesce(sum(remaining_micros - pinned_micros) FILTER (WHERE in_force AND NOT frozen), 0) AS available,
          coalesce(sum(remaining_micros - pinned_micros)
            FILTER (WHERE in_force AND NOT frozen AND allocation_id IS NOT NULL), 0) AS earmarked,
          sum(pinned_micros) AS pinned, coalesce(sum(remaining_micros) FILTER (WHERE frozen), 0) AS frozen
        FROM lot GROUP BY bucket_id
      ) l ON l.bucket_id = b.id
      WHERE (b.available_micros, b.earmarked_micros, b.pinned_micros, b.frozen_micros)
        <> (coalesce(l.available, 0), coalesce(l.earmarked, 0), coalesce(l.pinned, 0), coalesce(l.frozen, 0))`,
  },
  {
    name: 'allocation = Σ lots',
    readsHistory: false,
    freezes: true,
    offences: fragment`
      SELECT a.wallet_id, 'allocation ' || a.id AS subject,
        concat_ws(', ', 'available ' || l.available, 'pinned ' || l.pinned, 'frozen ' || l.frozen) AS expected,
        concat_ws(', ', 'available ' || a.available_micros, 'pinned ' || a.pinned_micros, 'frozen ' || a.frozen_micros)
          AS found
      FROM allocation a
      LEFT JOIN (
        SELECT allocation_id, coalesce(sum(remaining_micros - pinned_micros) FILTER (WHERE in_force AND NOT frozen), 0) AS available,
          sum(pinned_micros) AS pinned,
          coalesce(sum(remaining_micros - pinned_micros) FILTER (WHERE frozen), 0) AS frozen
        FROM lot WHERE allocation_id IS NOT NULL GROUP BY allocation_id
      ) l ON l.allocation_id = a.id
      WHERE (a.available_micros, a.pinned_micros, a.frozen_micros)
        <> (coalesce(l.available, 0), coalesce(l.pinned, 0), coalesce(l.frozen, 0))`,
  },
];
