/** What an audit asks of one wallet's books in PostgreSQL: a question that returns rows is answered wrongly. */
import type { Pool } from 'pg';

const SIGNED = `CASE direction WHEN 'CREDIT' THEN amount_micros ELSE -amount_micros END`;

/** The lines of a charge, one row each; one of no meter where an amount was charged. */
const USED = `
  SELECT t.wallet_id, coalesce(t.occurred_at, t.effective_at) AS at, coalesce(line->>'meter', '') AS meter,
    coalesce((line->>'quantity')::numeric, 0) AS quantity,
    coalesce((line->>'credits')::bigint, -t.amount_micros) AS credits,
    CASE t.actor_kind WHEN 'API_KEY' THEN t.actor_id ELSE '' END AS api_key_id
  FROM ledger_transaction t
  LEFT JOIN LATERAL jsonb_array_elements(t.lines) AS line ON true
  WHERE t.kind IN ('DEBIT', 'CAPTURE')`;

const QUESTIONS: Readonly<Record<string, string>> = {
  'balance = Σ entries = Σ lots − debt': `
    SELECT w.id AS wallet_id FROM wallet w
    WHERE balance_micros <> (SELECT coalesce(sum(${SIGNED}), 0) FROM ledger_entry WHERE wallet_id = w.id)
      OR balance_micros <> (SELECT coalesce(sum(remaining_micros), 0) FROM lot WHERE wallet_id = w.id) - debt_micros`,
  'a lot’s remaining = Σ of its entries': `
    SELECT wallet_id FROM lot l
    WHERE remaining_micros <> (SELECT coalesce(sum(${SIGNED}), 0) FROM ledger_entry WHERE lot_id = l.id)`,
  'debt = Σ of entries without a lot': `
    SELECT id AS wallet_id FROM wallet w
    WHERE debt_micros <> (SELECT coalesce(-sum(${SIGNED}), 0) FROM ledger_entry WHERE wallet_id = w.id AND lot_id IS NULL)`,
  'sequence 1…n, balances chained, instants in order': `
    SELECT wallet_id FROM (
      SELECT *, row_number() OVER chain AS place, lag(balance_after_micros, 1, 0) OVER chain AS before,
        lag(effective_at) OVER chain AS effective_before
      FROM ledger_entry WINDOW chain AS (PARTITION BY wallet_id ORDER BY sequence)) e
    WHERE sequence <> place OR balance_after_micros <> before + ${SIGNED} OR effective_at < effective_before
      OR effective_at > posted_at`,
  'the newest entry is the wallet’s head': `
    SELECT w.id AS wallet_id FROM wallet w
    LEFT JOIN LATERAL (SELECT * FROM ledger_entry WHERE wallet_id = w.id ORDER BY sequence DESC LIMIT 1) e ON true
    WHERE w.sequence <> coalesce(e.sequence, 0) OR w.balance_micros <> coalesce(e.balance_after_micros, 0)
      OR (e.hash IS NOT NULL AND w.head_hash <> e.hash)`,
  'versions 1…n, each with its change': `
    SELECT wallet_id FROM (
      SELECT *, row_number() OVER versions AS place, lag(total_available_micros, 1, 0) OVER versions AS before
      FROM balance_change WINDOW versions AS (PARTITION BY wallet_id ORDER BY version)) c
    WHERE version <> place OR change_micros <> total_available_micros - before`,
  'the newest version tells what can be spent and what is held': `
    SELECT w.id AS wallet_id FROM wallet w
    LEFT JOIN LATERAL (SELECT * FROM balance_change WHERE wallet_id = w.id ORDER BY version DESC LIMIT 1) c ON true
    CROSS JOIN LATERAL (
      SELECT sum(available_micros) AS available, sum(pinned_micros) AS pinned FROM bucket WHERE wallet_id = w.id) b
    WHERE w.version <> coalesce(c.version, 0) OR greatest(b.available - w.debt_micros, 0) <> coalesce(c.total_available_micros, 0)
      OR b.pinned <> coalesce(c.held_micros, 0)`,
  'buckets = Σ lots': `
    SELECT b.wallet_id FROM bucket b
    CROSS JOIN LATERAL (
      SELECT coalesce(sum(remaining_micros - pinned_micros) FILTER (WHERE in_force AND NOT frozen), 0) AS available,
        coalesce(sum(pinned_micros), 0) AS pinned FROM lot WHERE bucket_id = b.id) l
    WHERE b.available_micros <> l.available OR b.pinned_micros <> l.pinned`,
  'held = Σ pins, by lot and by hold': `
    SELECT wallet_id FROM lot l
    WHERE pinned_micros <> (SELECT coalesce(sum(pinned_micros), 0) FROM hold_pin WHERE lot_id = l.id)
    UNION ALL SELECT wallet_id FROM hold h
    WHERE remaining_micros <> (SELECT coalesce(sum(pinned_micros), 0) FROM hold_pin WHERE hold_id = h.id)
      OR (status <> 'OPEN' AND remaining_micros <> 0)`,
  'a hold’s captured = Σ of its captures': `
    SELECT wallet_id FROM hold h
    WHERE captured_micros <> (SELECT coalesce(-sum(amount_micros), 0) FROM ledger_transaction WHERE hold_id = h.id)`,
  'a transaction’s amount = Σ of its entries = Σ of its lines': `
    SELECT wallet_id FROM ledger_transaction t
    WHERE amount_micros <> (SELECT coalesce(sum(${SIGNED}), 0) FROM ledger_entry WHERE transaction_id = t.id)
      OR (jsonb_array_length(lines) > 0
        AND -amount_micros <> (SELECT sum((line->>'credits')::bigint) FROM jsonb_array_elements(lines) AS line))`,
  'Σ refunds ≤ what was charged': `
    SELECT t.wallet_id FROM ledger_transaction t JOIN ledger_transaction r ON r.refunded_id = t.id
    GROUP BY t.id, t.wallet_id, t.amount_micros HAVING sum(r.amount_micros) > -t.amount_micros`,
  'one effect per accepted key and one key per effect': `
    SELECT t.wallet_id FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id
    LEFT JOIN idempotency_record r ON r.organization_id = w.organization_id AND r.key = t.idempotency_key
    WHERE t.idempotency_key IS NOT NULL AND r.outcome->>'transactionId' IS DISTINCT FROM t.id::text
    UNION ALL SELECT w.id FROM idempotency_record r JOIN wallet w ON w.organization_id = r.organization_id
    WHERE r.outcome->>'transactionId' IS NOT NULL AND NOT EXISTS (
      SELECT FROM ledger_transaction t
      WHERE t.wallet_id = w.id AND t.id::text = r.outcome->>'transactionId' AND t.idempotency_key = r.key)`,
  'a paid purchase has exactly one set of lots': `
    SELECT w.id AS wallet_id FROM purchase p JOIN wallet w ON w.organization_id = p.organization_id
    WHERE (SELECT coalesce(sum(granted_micros), 0) FROM lot WHERE purchase_id = p.id)
      <> CASE p.status WHEN 'PAID' THEN p.credits_micros + p.bonus_micros ELSE 0 END`,
  'rollups = Σ transactions': `
    SELECT coalesce(a.wallet_id, b.wallet_id) AS wallet_id FROM (
      SELECT wallet_id, grain::text, starts_at, meter, api_key_id, sum(quantity) AS quantity, sum(credits_micros) AS credits,
        sum(events) AS events
      FROM usage_rollup GROUP BY 1, 2, 3, 4, 5) a
    FULL JOIN (
      SELECT wallet_id, grain, date_bin(length, at, timestamptz '2000-01-01 00:00Z') AS starts_at, meter, api_key_id,
        sum(quantity) AS quantity, sum(credits) AS credits, count(*) AS events
      FROM (${USED}) used
      CROSS JOIN (VALUES ('QUARTER_HOUR', interval '15 minutes'), ('DAY', interval '1 day')) AS grains (grain, length)
      GROUP BY 1, 2, 3, 4, 5) b USING (wallet_id, grain, starts_at, meter, api_key_id)
    WHERE (a.quantity, a.credits, a.events) IS DISTINCT FROM (b.quantity, b.credits, b.events)`,
};

/** The tables as if there were no other wallet, so that the questions above need not say which they mean. */
const OF_ONE_WALLET = `
  wallet AS (SELECT * FROM public.wallet WHERE id = $1),
  bucket AS (SELECT * FROM public.bucket WHERE wallet_id = $1),
  lot AS (SELECT * FROM public.lot WHERE wallet_id = $1),
  ledger_transaction AS (SELECT * FROM public.ledger_transaction WHERE wallet_id = $1),
  ledger_entry AS (SELECT * FROM public.ledger_entry WHERE wallet_id = $1),
  balance_change AS (SELECT * FROM public.balance_change WHERE wallet_id = $1),
  hold AS (SELECT * FROM public.hold WHERE wallet_id = $1),
  hold_pin AS (SELECT * FROM public.hold_pin WHERE hold_id IN (SELECT id FROM hold)),
  usage_rollup AS (SELECT * FROM public.usage_rollup WHERE wallet_id = $1),
  purchase AS (SELECT * FROM public.purchase WHERE organization_id = (SELECT organization_id FROM wallet)),
  idempotency_record AS (
    SELECT * FROM public.idempotency_record WHERE organization_id = (SELECT organization_id FROM wallet))`;

const AUDIT = `WITH ${OF_ONE_WALLET} ${Object.values(QUESTIONS)
  .map((sql, index) => `SELECT ${index} AS question, count(*)::int AS wrong FROM (${sql}) AS found`)
  .join(' UNION ALL ')}`;

/** The questions that are answered wrongly. */
export async function audit(pool: Pool, walletId: string): Promise<string[]> {
  const names = Object.keys(QUESTIONS);
  const { rows } = await pool.query<{ question: number; wrong: number }>({
    name: 'audit',
    text: AUDIT,
    values: [walletId],
  });
  return rows.filter(({ wrong }) => wrong > 0).map(({ question }) => names[question] ?? '');
}
