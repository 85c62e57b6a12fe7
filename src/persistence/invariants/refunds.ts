/** Refunds: each gives back a charge of its wallet, and together no more than was charged. */
import { fragment } from '../connection.ts';
import type { Invariant } from './invariant.ts';

export const REFUNDS: readonly Invariant[] = [
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
];
