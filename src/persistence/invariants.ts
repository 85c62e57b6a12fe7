/**
 * What must hold in the books, each rule as one query that returns the rows that break it. The same text asks it of a few
 * wallets or of all: the tables that it names are then those rows of them that belong to these wallets.
 *
 * Amounts are in millionths of a credit, as they are stored. The chain of hashes is no query: operations/verify-ledger.ts
 * walks it.
 */
import { type Fragment, fragment, type Queryable } from './connection.ts';

export interface Invariant {
  /** What holds, in the words in which it is reported. */
  readonly name: string;
  /** True where asking takes longer the more entries, transactions or keys a wallet has had. */
  readonly readsHistory: boolean;
  /** False for what is kept beside the books: where it drifts no credit is at stake, and no wallet is frozen. */
  readonly freezes: boolean;
  /** Rows of (wallet_id, subject, expected, found). */
  readonly offences: Fragment;
}

/** A row that breaks an invariant. */
export interface Offence {
  /** The wallet whose books it is in. */
  readonly walletId: string;
  /** The row: "lot 01930000-…", "entry 17". */
  readonly subject: string;
  readonly expected: string | null;
  readonly found: string | null;
}

export interface Findings {
  /** How many rows offend. */
  readonly count: number;
  /** The first of them. */
  readonly offences: readonly Offence[];
}

const SIGNED = fragment`CASE e.direction WHEN 'CREDIT' THEN e.amount_micros ELSE -e.amount_micros END`;

/** What a hold `h` has pinned, found by its id. */
const PINS_OF_HOLD = fragment`SELECT lot_id, pinned_micros FROM public.hold_pin WHERE hold_id = h.id OFFSET 0`;

/** The lines of a charge, one row each; one of no meter where an amount was charged. */
const USED = fragment`
  SELECT t.wallet_id, t.used_at AS at, coalesce(line ->> 'meter', '') AS meter,
    coalesce((line ->> 'quantity')::numeric, 0) AS quantity,
    coalesce((line ->> 'credits')::bigint, -t.amount_micros) AS credits
  FROM ledger_transaction t
  LEFT JOIN LATERAL jsonb_array_elements(t.lines) AS line ON true
  WHERE t.kind IN ('DEBIT', 'CAPTURE')`;

export const INVARIANTS: readonly Invariant[] = [
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
  {
    name: 'Σ refunds ≤ original',
    readsHistory: true,
    freezes: true,
    offences: fragment`
      SELECT r.wallet_id, 'transaction ' || r.refunded_id AS subject, 'at most ' || coalesce(-t.amount_micros, 0) AS expected,
        r.refunded::text AS found
      FROM (
        SELECT wallet_id, refunded_id, sum(amount_micros) AS refunded
        FROM ledger_transaction WHERE refunded_id IS NOT NULL GROUP BY wallet_id, refunded_id
      ) r
      LEFT JOIN ledger_transaction t
        ON t.id = r.refunded_id AND t.wallet_id = r.wallet_id AND t.kind IN ('DEBIT', 'CAPTURE')
      WHERE r.refunded > coalesce(-t.amount_micros, 0)`,
  },
  {
    name: 'a refund names its charge',
    readsHistory: true,
    freezes: true,
    // What no refund names can be refunded again.
    offences: fragment`
      SELECT t.wallet_id, 'transaction ' || t.id AS subject,
        CASE t.kind WHEN 'REFUND' THEN 'refunds a charge of its wallet' ELSE 'refunds nothing' END AS expected,
        'refunds ' || coalesce('transaction ' || t.refunded_id, 'nothing') AS found
      FROM ledger_transaction t
      LEFT JOIN ledger_transaction o
        ON o.id = t.refunded_id AND o.wallet_id = t.wallet_id AND o.kind IN ('DEBIT', 'CAPTURE')
      WHERE CASE t.kind WHEN 'REFUND' THEN o.id IS NULL ELSE t.refunded_id IS NOT NULL END`,
  },
  {
    name: 'sequence 1…n',
    readsHistory: true,
    freezes: true,
    offences: fragment`
      SELECT wallet_id, 'entry ' || sequence AS subject, 'number ' || place AS expected, 'number ' || sequence AS found
      FROM (
        SELECT e.wallet_id, e.sequence, row_number() OVER (PARTITION BY e.wallet_id ORDER BY e.sequence) AS place
        FROM ledger_entry e
      ) e
      WHERE sequence <> place`,
  },
  {
    name: 'balanceAfter chains',
    readsHistory: true,
    freezes: true,
    offences: fragment`
      SELECT wallet_id, 'entry ' || sequence AS subject, (before + signed)::text AS expected,
        balance_after_micros::text AS found
      FROM (
        SELECT e.wallet_id, e.sequence, e.balance_after_micros, ${SIGNED} AS signed,
          lag(e.balance_after_micros, 1, 0) OVER (PARTITION BY e.wallet_id ORDER BY e.sequence) AS before
        FROM ledger_entry e
      ) e
      WHERE balance_after_micros <> before + signed`,
  },
  {
    name: 'effective in order',
    readsHistory: true,
    freezes: true,
    offences: fragment`
      SELECT wallet_id, 'entry ' || sequence AS subject, 'from ' || before || ' to ' || posted_at AS expected,
        effective_at::text AS found
      FROM (
        SELECT e.wallet_id, e.sequence, e.effective_at, e.posted_at,
          lag(e.effective_at, 1, e.effective_at) OVER (PARTITION BY e.wallet_id ORDER BY e.sequence) AS before
        FROM ledger_entry e
      ) e
      WHERE effective_at < before OR effective_at > posted_at`,
  },
  {
    name: 'wallet = newest entry',
    readsHistory: false,
    freezes: true,
    offences: fragment`
      SELECT w.id AS wallet_id, 'head' AS subject,
        concat_ws(', ', 'entry ' || coalesce(e.sequence, 0), 'balance ' || coalesce(e.balance_after_micros, 0),
          encode(e.hash, 'hex')) AS expected,
        concat_ws(', ', 'entry ' || w.sequence, 'balance ' || w.balance_micros, encode(w.head_hash, 'hex')) AS found
      FROM wallet w
      LEFT JOIN LATERAL (
        SELECT * FROM public.ledger_entry WHERE wallet_id = w.id ORDER BY sequence DESC LIMIT 1
      ) e ON true
      WHERE (w.sequence, w.balance_micros) <> (coalesce(e.sequence, 0), coalesce(e.balance_after_micros, 0))
        OR w.head_hash <> coalesce(e.hash, decode(repeat('00', 32), 'hex'))`,
  },
  {
    name: 'wallet = newest version',
    readsHistory: false,
    freezes: true,
    offences: fragment`
      SELECT w.id AS wallet_id, 'version ' || coalesce(c.version, 0) AS subject,
        concat_ws(', ', 'version ' || w.version, 'available ' || greatest(coalesce(b.available, 0) - w.debt_micros, 0),
          'held ' || coalesce(b.pinned, 0)) AS expected,
        concat_ws(', ', 'version ' || coalesce(c.version, 0), 'available ' || coalesce(c.total_available_micros, 0),
          'held ' || coalesce(c.held_micros, 0)) AS found
      FROM wallet w
      LEFT JOIN LATERAL (
        SELECT * FROM public.balance_change WHERE wallet_id = w.id ORDER BY version DESC LIMIT 1
      ) c ON true
      LEFT JOIN (
        SELECT wallet_id, sum(available_micros) AS available, sum(pinned_micros) AS pinned FROM bucket GROUP BY wallet_id
      ) b ON b.wallet_id = w.id
      WHERE (w.version, greatest(coalesce(b.available, 0) - w.debt_micros, 0), coalesce(b.pinned, 0))
        <> (coalesce(c.version, 0), coalesce(c.total_available_micros, 0), coalesce(c.held_micros, 0))`,
  },
  {
    name: 'versions in turn',
    readsHistory: true,
    freezes: true,
    // The oldest versions may have been forgotten.
    offences: fragment`
      SELECT wallet_id, 'version ' || version AS subject,
        'version ' || before + 1 || ', change ' || total_available_micros - available_before AS expected,
        'version ' || version || ', change ' || change_micros AS found
      FROM (
        SELECT *, lag(version) OVER versions AS before, lag(total_available_micros) OVER versions AS available_before
        FROM balance_change WINDOW versions AS (PARTITION BY wallet_id ORDER BY version)
      ) c
      WHERE version <> before + 1 OR change_micros <> total_available_micros - available_before`,
  },
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
  {
    name: 'no row crosses organizations',
    readsHistory: true,
    freezes: true,
    offences: fragment`
      SELECT e.wallet_id, 'entry ' || e.sequence AS subject, 'its own transaction' AS expected,
        'transaction ' || e.transaction_id AS found
      FROM ledger_entry e LEFT JOIN ledger_transaction t ON t.id = e.transaction_id AND t.wallet_id = e.wallet_id
      WHERE t.id IS NULL
      UNION ALL
      SELECT e.wallet_id, 'entry ' || e.sequence, 'its own lot', 'lot ' || e.lot_id
      FROM ledger_entry e
      LEFT JOIN lot l ON l.id = e.lot_id AND l.wallet_id = e.wallet_id AND l.bucket_id = e.bucket_id
      WHERE e.lot_id IS NOT NULL AND l.id IS NULL
      UNION ALL
      SELECT t.wallet_id, 'transaction ' || t.id, 'a wallet of its own', 'wallet ' || t.wallet_id
      FROM ledger_transaction t LEFT JOIN wallet w ON w.id = t.wallet_id WHERE w.id IS NULL
      UNION ALL
      SELECT t.wallet_id, 'transaction ' || t.id, 'its own hold', 'hold ' || t.hold_id
      FROM ledger_transaction t LEFT JOIN hold h ON h.id = t.hold_id AND h.wallet_id = t.wallet_id
      WHERE t.hold_id IS NOT NULL AND h.id IS NULL
      UNION ALL
      SELECT t.wallet_id, 'transaction ' || t.id, 'a refund of its own', 'transaction ' || t.refunded_id
      FROM ledger_transaction t LEFT JOIN ledger_transaction r ON r.id = t.refunded_id AND r.wallet_id = t.wallet_id
      WHERE t.refunded_id IS NOT NULL AND r.id IS NULL
      UNION ALL
      SELECT t.wallet_id, 'transaction ' || t.id, 'its own purchase', 'purchase ' || t.purchase_id
      FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id
      LEFT JOIN purchase p ON p.id = t.purchase_id AND p.organization_id = w.organization_id
      WHERE t.purchase_id IS NOT NULL AND p.id IS NULL
      UNION ALL
      SELECT t.wallet_id, 'transaction ' || t.id, 'its own project', 'project ' || t.project_id
      FROM ledger_transaction t JOIN wallet w ON w.id = t.wallet_id
      LEFT JOIN project p ON p.id = t.project_id AND p.organization_id = w.organization_id
      WHERE t.project_id IS NOT NULL AND p.id IS NULL
      UNION ALL
      SELECT l.wallet_id, 'lot ' || l.id, 'its own bucket', 'bucket ' || l.bucket_id
      FROM lot l LEFT JOIN bucket b ON b.id = l.bucket_id AND b.wallet_id = l.wallet_id WHERE b.id IS NULL
      UNION ALL
      SELECT l.wallet_id, 'lot ' || l.id, 'its own purchase', 'purchase ' || l.purchase_id
      FROM lot l JOIN wallet w ON w.id = l.wallet_id
      LEFT JOIN purchase p ON p.id = l.purchase_id AND p.organization_id = w.organization_id
      WHERE l.purchase_id IS NOT NULL AND p.id IS NULL
      UNION ALL
      SELECT l.wallet_id, 'lot ' || l.id, 'its own allocation', 'allocation ' || l.allocation_id
      FROM lot l LEFT JOIN allocation a ON a.id = l.allocation_id AND a.wallet_id = l.wallet_id
      WHERE l.allocation_id IS NOT NULL AND a.id IS NULL
      UNION ALL
      SELECT l.wallet_id, 'lot ' || l.id, 'its own origin', 'lot ' || l.origin_id
      FROM lot l LEFT JOIN lot o ON o.id = l.origin_id AND o.wallet_id = l.wallet_id AND o.bucket_id = l.bucket_id
      WHERE l.origin_id IS NOT NULL AND o.id IS NULL
      UNION ALL
      SELECT a.wallet_id, 'allocation ' || a.id, 'its own project', 'project ' || a.project_id
      FROM allocation a JOIN wallet w ON w.id = a.wallet_id
      LEFT JOIN project p ON p.id = a.project_id AND p.organization_id = w.organization_id
      WHERE a.project_id IS NOT NULL AND p.id IS NULL
      UNION ALL
      SELECT h.wallet_id, 'hold ' || h.id, 'its own project', 'project ' || h.project_id
      FROM hold h JOIN wallet w ON w.id = h.wallet_id
      LEFT JOIN project p ON p.id = h.project_id AND p.organization_id = w.organization_id
      WHERE h.project_id IS NOT NULL AND p.id IS NULL
      UNION ALL
      SELECT h.wallet_id, 'hold ' || h.id, 'its own lots', 'lot ' || hp.lot_id
      FROM hold h CROSS JOIN LATERAL (${PINS_OF_HOLD}) hp
      LEFT JOIN lot l ON l.id = hp.lot_id AND l.wallet_id = h.wallet_id
      WHERE l.id IS NULL
      UNION ALL
      SELECT a.wallet_id, 'allowance of bucket ' || a.bucket_id, 'its own bucket', 'bucket ' || a.bucket_id
      FROM allowance a LEFT JOIN bucket b ON b.id = a.bucket_id AND b.wallet_id = a.wallet_id WHERE b.id IS NULL
      UNION ALL
      SELECT w.id, 'auto top-up', 'its own purchase', 'purchase ' || t.purchase_id
      FROM auto_top_up t JOIN wallet w ON w.id = t.wallet_id
      LEFT JOIN purchase p ON p.id = t.purchase_id AND p.organization_id = w.organization_id
      WHERE t.purchase_id IS NOT NULL AND p.id IS NULL
      UNION ALL
      SELECT w.id, 'subscription ' || s.id, 'its own purchase', 'purchase ' || named.id
      FROM plan_subscription s JOIN wallet w ON w.organization_id = s.organization_id
      CROSS JOIN LATERAL unnest(s.paid_by || s.charging_purchase_id) AS named (id)
      LEFT JOIN purchase p ON p.id = named.id AND p.organization_id = s.organization_id
      WHERE named.id IS NOT NULL AND p.id IS NULL
      UNION ALL
      SELECT w.id, 'key ' || k.id, 'its own project', 'project ' || k.project_id
      FROM api_key k JOIN wallet w ON w.organization_id = k.organization_id
      LEFT JOIN project p ON p.id = k.project_id AND p.organization_id = k.organization_id
      WHERE k.project_id IS NOT NULL AND p.id IS NULL`,
  },
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

interface OffenceRow {
  readonly wallet_id: string;
  readonly subject: string;
  readonly expected: string | null;
  readonly found: string | null;
  readonly total: bigint;
}

/**
 * Which rows of these wallets' books, of everybody's with null, break the invariant; the first `limit` of them in full. Runs
 * in a transaction, which goes on to join by hashes and to plan anew: statistics that are behind, and plans that were made
 * when there was little, take a busy wallet's rows for a few, and nested loops over them for cheap.
 */
export async function findOffences(
  tx: Queryable,
  { offences }: Invariant,
  walletIds: readonly string[] | null,
  limit: number,
): Promise<Findings> {
  await tx`SELECT set_config('enable_nestloop', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true)`;
  const rows = await tx<OffenceRow[]>`
    ${walletIds === null ? fragment`` : tablesOf(walletIds)}
    SELECT *, count(*) OVER () AS total FROM (${offences}) AS offence LIMIT ${limit}`;
  return {
    count: Number(rows[0]?.total ?? 0n),
    offences: rows.map(({ wallet_id: walletId, subject, expected, found }) => ({ walletId, subject, expected, found })),
  };
}

/**
 * The tables as if there were no other wallets, each found by its index. Transactions have an index by wallet where they
 * charge usage, and each of the others is named by entries that are no usage.
 */
function tablesOf(walletIds: readonly string[]): Fragment {
  const organizationIds = fragment`ARRAY(SELECT organization_id FROM public.wallet WHERE id = ANY(${walletIds}::uuid[]))`;
  return fragment`WITH
    wallet AS NOT MATERIALIZED (SELECT * FROM public.wallet WHERE id = ANY(${walletIds}::uuid[])),
    bucket AS NOT MATERIALIZED (SELECT * FROM public.bucket WHERE wallet_id = ANY(${walletIds}::uuid[])),
    allocation AS NOT MATERIALIZED (SELECT * FROM public.allocation WHERE wallet_id = ANY(${walletIds}::uuid[])),
    allowance AS NOT MATERIALIZED (SELECT * FROM public.allowance WHERE wallet_id = ANY(${walletIds}::uuid[])),
    lot AS NOT MATERIALIZED (SELECT * FROM public.lot WHERE wallet_id = ANY(${walletIds}::uuid[])),
    ledger_transaction AS NOT MATERIALIZED (
      SELECT * FROM public.ledger_transaction WHERE wallet_id = ANY(${walletIds}::uuid[]) AND used_at IS NOT NULL
      UNION ALL
      SELECT * FROM public.ledger_transaction
      WHERE wallet_id = ANY(${walletIds}::uuid[]) AND used_at IS NULL AND id = ANY(ARRAY(
        SELECT transaction_id FROM public.ledger_entry
        WHERE wallet_id = ANY(${walletIds}::uuid[]) AND reason_code <> 'USAGE'))),
    ledger_entry AS NOT MATERIALIZED (SELECT * FROM public.ledger_entry WHERE wallet_id = ANY(${walletIds}::uuid[])),
    statement AS NOT MATERIALIZED (SELECT * FROM public.statement WHERE wallet_id = ANY(${walletIds}::uuid[])),
    balance_change AS NOT MATERIALIZED (SELECT * FROM public.balance_change WHERE wallet_id = ANY(${walletIds}::uuid[])),
    hold AS NOT MATERIALIZED (SELECT * FROM public.hold WHERE wallet_id = ANY(${walletIds}::uuid[])),
    usage_rollup AS NOT MATERIALIZED (SELECT * FROM public.usage_rollup WHERE wallet_id = ANY(${walletIds}::uuid[])),
    auto_top_up AS NOT MATERIALIZED (SELECT * FROM public.auto_top_up WHERE wallet_id = ANY(${walletIds}::uuid[])),
    purchase AS NOT MATERIALIZED (SELECT * FROM public.purchase WHERE organization_id = ANY(${organizationIds})),
    project AS NOT MATERIALIZED (SELECT * FROM public.project WHERE organization_id = ANY(${organizationIds})),
    api_key AS NOT MATERIALIZED (SELECT * FROM public.api_key WHERE organization_id = ANY(${organizationIds})),
    plan_subscription AS NOT MATERIALIZED (
      SELECT * FROM public.plan_subscription WHERE organization_id = ANY(${organizationIds})),
    idempotency_record AS NOT MATERIALIZED (
      SELECT * FROM public.idempotency_record WHERE organization_id = ANY(${organizationIds}))`;
}
