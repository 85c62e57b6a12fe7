/** Holds: what they have pinned, and that each ends once. */
import { fragment } from '../connection.ts';
import { PINS_OF_HOLD } from './fragments.ts';
import type { Invariant } from './invariant.ts';

export const HOLDS: readonly Invariant[] = [
  {
    name: 'held = Σ open holds',
    readsHistory: false,
    freezes: true,
    offences: fragment`
      SELECT h.wallet_id, 'hold ' || h.id AS subject, coalesce(p.pinned, 0)::text AS expected,
        h.remaining_micros::text AS found
      FROM hold h
      LEFT JOIN LATERAL (SELECT sum(pinned_micros) AS pinned FROM public.hold_pin WHERE hold_id = h.id) p ON true
      WHERE h.status = 'OPEN' AND h.remaining_micros <> coalesce(p.pinned, 0)
      UNION ALL
      SELECT l.wallet_id, 'lot ' || l.id, coalesce(p.pinned, 0)::text, l.pinned_micros::text
      FROM lot l
      LEFT JOIN (
        SELECT hp.lot_id, sum(hp.pinned_micros) AS pinned
        FROM hold h CROSS JOIN LATERAL (${PINS_OF_HOLD}) hp WHERE h.status = 'OPEN' GROUP BY hp.lot_id
      ) p ON p.lot_id = l.id
      WHERE l.pinned_micros <> coalesce(p.pinned, 0)`,
  },
  {
    name: 'one resolution per hold',
    readsHistory: true,
    freezes: true,
    // A lapse is nobody's answer; what was captured or released was answered once, under one key.
    offences: fragment`
      SELECT h.wallet_id, 'hold ' || h.id AS subject,
        h.status::text || ', resolved by ' || (h.status IN ('CAPTURED', 'RELEASED'))::int || ' key' AS expected,
        coalesce(r.statuses, 'nothing') || ', resolved by ' || coalesce(r.resolutions, 0) || ' keys' AS found
      FROM hold h
      LEFT JOIN (
        SELECT outcome -> 'hold' ->> 'id' AS hold_id, count(*) AS resolutions,
          string_agg(DISTINCT outcome -> 'hold' ->> 'status', ' and ') AS statuses
        FROM idempotency_record WHERE outcome -> 'hold' ->> 'status' <> 'OPEN' GROUP BY 1
      ) r ON r.hold_id = h.id::text
      WHERE coalesce(r.resolutions, 0) <> (h.status IN ('CAPTURED', 'RELEASED'))::int
        OR r.statuses <> h.status::text
      UNION ALL
      SELECT h.wallet_id, 'hold ' || h.id, 'nothing pinned after its end', coalesce(p.pinned, 0)::text || ' pinned'
      FROM hold h
      LEFT JOIN LATERAL (SELECT sum(pinned_micros) AS pinned FROM public.hold_pin WHERE hold_id = h.id) p ON true
      WHERE h.status <> 'OPEN' AND (coalesce(p.pinned, 0) <> 0 OR h.remaining_micros <> 0)
      UNION ALL
      SELECT h.wallet_id, 'hold ' || h.id, 'captured ' || coalesce(c.captured, 0), 'captured ' || h.captured_micros
      FROM hold h
      LEFT JOIN (
        SELECT hold_id, -sum(amount_micros) AS captured FROM ledger_transaction WHERE hold_id IS NOT NULL GROUP BY hold_id
      ) c ON c.hold_id = h.id
      WHERE h.captured_micros <> coalesce(c.captured, 0)`,
  },
];
