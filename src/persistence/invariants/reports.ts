/** Statements and rollups, which are kept beside the books and freeze no wallet. */
import { fragment } from '../connection.ts';
import type { Invariant } from './invariant.ts';

/** The lines of a charge, one row each; one of no meter where an amount was charged. */
const USED = fragment`
  SELECT t.wallet_id, t.used_at AS at, coalesce(line ->> 'meter', '') AS meter,
    coalesce((line ->> 'quantity')::numeric, 0) AS quantity,
    coalesce((line ->> 'credits')::bigint, -t.amount_micros) AS credits
  FROM ledger_transaction t
  LEFT JOIN LATERAL jsonb_array_elements(t.lines) AS line ON true
  WHERE t.kind IN ('DEBIT', 'CAPTURE')`;

export const REPORTS: readonly Invariant[] = [
  {
    name: 'statement: opening + movements = closing',
    readsHistory: true,
    freezes: false,
    offences: fragment`
      SELECT s.wallet_id, 'statement ' || s.month AS subject,
        concat_ws(', ', 'credited ' || m.credited, 'debited ' || m.debited,
          'closing ' || (s.opening_micros + m.credited - m.debited)) AS expected,
        concat_ws(', ', 'credited ' || s.credited_micros, 'debited ' || s.debited_micros,
          'closing ' || s.closing_micros) AS found
      FROM statement s
      CROSS JOIN LATERAL (
        SELECT coalesce(sum(e.amount_micros) FILTER (WHERE e.direction = 'CREDIT'), 0) AS credited,
          coalesce(sum(e.amount_micros) FILTER (WHERE e.direction = 'DEBIT'), 0) AS debited
        FROM ledger_entry e
        WHERE e.wallet_id = s.wallet_id AND e.sequence > s.opening_sequence AND e.sequence <= s.closing_sequence
      ) m
      WHERE (s.credited_micros, s.debited_micros, s.closing_micros)
          <> (m.credited, m.debited, s.opening_micros + m.credited - m.debited)
        OR s.hash <> sha256(convert_to(s.content, 'UTF8'))`,
  },
  {
    name: 'closing = next opening',
    readsHistory: true,
    freezes: false,
    // An entry of a closed month would be in no statement.
    offences: fragment`
      SELECT s.wallet_id, 'statement ' || s.month AS subject,
        concat_ws(', ', 'opening ' || coalesce(s.closed_before, 0), 'after entry ' || coalesce(s.sequence_before, 0)) AS expected,
        concat_ws(', ', 'opening ' || s.opening_micros, 'after entry ' || s.opening_sequence) AS found
      FROM (
        SELECT *, lag(closing_micros) OVER months AS closed_before, lag(closing_sequence) OVER months AS sequence_before
        FROM statement WINDOW months AS (PARTITION BY wallet_id ORDER BY starts_at)
      ) s
      WHERE (s.opening_micros, s.opening_sequence) <> (coalesce(s.closed_before, 0), coalesce(s.sequence_before, 0))
      UNION ALL
      SELECT e.wallet_id, 'entry ' || e.sequence, 'an open month', e.effective_at::text
      FROM (SELECT DISTINCT ON (wallet_id) * FROM statement ORDER BY wallet_id, starts_at DESC) s
      JOIN ledger_entry e ON e.wallet_id = s.wallet_id AND e.sequence > s.closing_sequence AND e.effective_at < s.ends_at`,
  },
  {
    name: 'rollups = Σ charges',
    readsHistory: true,
    freezes: false,
    offences: fragment`
      SELECT coalesce(a.wallet_id, b.wallet_id) AS wallet_id,
        concat_ws(' ', coalesce(a.grain, b.grain), coalesce(a.starts_at, b.starts_at), coalesce(a.meter, b.meter)) AS subject,
        concat_ws(', ', b.events || ' events', 'quantity ' || b.quantity, 'credits ' || b.credits) AS expected,
        concat_ws(', ', a.events || ' events', 'quantity ' || a.quantity, 'credits ' || a.credits) AS found
      FROM (
        SELECT wallet_id, grain::text, starts_at, meter, sum(quantity) AS quantity, sum(credits_micros) AS credits,
          sum(events) AS events
        FROM usage_rollup GROUP BY wallet_id, grain, starts_at, meter
      ) a
      FULL JOIN (
        SELECT wallet_id, grain, date_bin(length, at, timestamptz '2000-01-01 00:00Z') AS starts_at, meter,
          sum(quantity) AS quantity, sum(credits) AS credits, count(*) AS events
        FROM (${USED}) used
        CROSS JOIN (VALUES ('QUARTER_HOUR', interval '15 minutes'), ('DAY', interval '1 day')) AS grains (grain, length)
        GROUP BY 1, 2, 3, 4
      ) b USING (wallet_id, grain, starts_at, meter)
      WHERE (a.quantity, a.credits, a.events) IS DISTINCT FROM (b.quantity, b.credits, b.events)`,
  },
];
