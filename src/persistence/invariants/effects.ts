/** What a transaction, a key and a payment have done: what they say, and once. */
import { fragment } from '../connection.ts';
import { SIGNED } from './fragments.ts';
import type { Invariant } from './invariant.ts';

export const EFFECTS: readonly Invariant[] = [
  {
    name: 'transaction = Σ entries = Σ lines',
    readsHistory: true,
    freezes: true,
    offences: fragment`
      SELECT t.wallet_id, 'transaction ' || t.id AS subject,
        concat_ws(', ', 'entries ' || coalesce(s.total, 0), 'lines ' || -l.credits) AS expected,
        t.amount_micros::text AS found
      FROM ledger_transaction t
      LEFT JOIN (
        SELECT e.transaction_id, sum(${SIGNED}) AS total FROM ledger_entry e GROUP BY e.transaction_id
      ) s ON s.transaction_id = t.id
      CROSS JOIN LATERAL (
        SELECT sum((line ->> 'credits')::bigint) AS credits FROM jsonb_array_elements(t.lines) AS line
      ) l
      WHERE t.amount_micros <> coalesce(s.total, 0) OR -t.amount_micros <> l.credits`,
  },
  {
    name: 'one effect per key, one key per effect',
    readsHistory: true,
    freezes: true,
    offences: fragment`
      SELECT t.wallet_id, 'transaction ' || t.id AS subject, 'under its key ' || t.idempotency_key AS expected,
        coalesce('transaction ' || (r.outcome ->> 'transactionId'), 'nothing') AS found
      FROM ledger_transaction t
      JOIN wallet w ON w.id = t.wallet_id
      LEFT JOIN idempotency_record r ON r.organization_id = w.organization_id AND r.key = t.idempotency_key
      WHERE t.idempotency_key IS NOT NULL AND r.outcome ->> 'transactionId' IS DISTINCT FROM t.id::text
      UNION ALL
      SELECT h.wallet_id, 'hold ' || h.id, 'under its key ' || h.idempotency_key,
        coalesce('hold ' || (r.outcome -> 'hold' ->> 'id'), 'nothing')
      FROM hold h
      JOIN wallet w ON w.id = h.wallet_id
      LEFT JOIN idempotency_record r ON r.organization_id = w.organization_id AND r.key = h.idempotency_key
      WHERE r.outcome -> 'hold' ->> 'id' IS DISTINCT FROM h.id::text
      UNION ALL
      SELECT w.id, 'key ' || r.key, 'transaction ' || (r.outcome ->> 'transactionId'), 'nothing'
      FROM idempotency_record r
      JOIN wallet w ON w.organization_id = r.organization_id
      LEFT JOIN ledger_transaction t
        ON t.id::text = r.outcome ->> 'transactionId' AND t.wallet_id = w.id AND t.idempotency_key = r.key
      WHERE r.outcome ? 'transactionId' AND t.id IS NULL
      UNION ALL
      SELECT w.id, 'key ' || r.key, 'hold ' || (r.outcome -> 'hold' ->> 'id'), 'nothing'
      FROM idempotency_record r
      JOIN wallet w ON w.organization_id = r.organization_id
      LEFT JOIN hold h ON h.id::text = r.outcome -> 'hold' ->> 'id' AND h.wallet_id = w.id
      WHERE r.outcome -> 'hold' ->> 'id' IS NOT NULL AND h.id IS NULL
      UNION ALL
      SELECT w.id, 'key ' || r.key, 'purchase ' || (r.outcome ->> 'purchaseId'), 'nothing'
      FROM idempotency_record r
      JOIN wallet w ON w.organization_id = r.organization_id
      LEFT JOIN purchase p ON p.id::text = r.outcome ->> 'purchaseId' AND p.organization_id = w.organization_id
      WHERE r.outcome ? 'purchaseId' AND p.id IS NULL`,
  },
  {
    name: 'a paid purchase has one set of lots',
    readsHistory: true,
    freezes: true,
    // What is bought for a plan fills buckets by the plan's allowances.
    offences: fragment`
      SELECT w.id AS wallet_id, 'purchase ' || p.id AS subject,
        CASE WHEN p.paid_at IS NULL THEN 'none'
          ELSE concat_ws(', ', 'one set', 'credits ' || p.credits_micros, 'bonus ' || p.bonus_micros) END AS expected,
        concat_ws(', ', coalesce(s.sets, 0) || ' sets', 'credits ' || coalesce(s.credits, 0),
          'bonus ' || coalesce(s.bonus, 0)) AS found
      FROM purchase p
      JOIN wallet w ON w.organization_id = p.organization_id
      LEFT JOIN (
        SELECT t.purchase_id, count(DISTINCT t.id) AS sets,
          sum(e.amount_micros) FILTER (WHERE l.source = 'PURCHASE' AND l.purchase_id = t.purchase_id) AS credits,
          sum(e.amount_micros) FILTER (WHERE l.source = 'BONUS' AND l.purchase_id = t.purchase_id) AS bonus
        FROM ledger_transaction t
        LEFT JOIN ledger_entry e ON e.transaction_id = t.id AND e.direction = 'CREDIT' AND e.reason_code <> 'USAGE'
        LEFT JOIN lot l ON l.id = e.lot_id
        WHERE t.kind = 'PURCHASE' AND t.purchase_id IS NOT NULL GROUP BY t.purchase_id
      ) s ON s.purchase_id = p.id
      WHERE p.kind <> 'PLAN'
        AND (coalesce(s.sets, 0), coalesce(s.credits, 0), coalesce(s.bonus, 0)) <> (
          CASE WHEN p.paid_at IS NULL THEN 0 ELSE 1 END,
          CASE WHEN p.paid_at IS NULL THEN 0 ELSE p.credits_micros END,
          CASE WHEN p.paid_at IS NULL THEN 0 ELSE p.bonus_micros END)`,
  },
];
