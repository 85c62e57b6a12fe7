/** Entries and versions are numbered without gaps, each goes on from the one before, and the wallet stands at the newest. */
import { fragment } from '../connection.ts';
import { SIGNED } from './fragments.ts';
import type { Invariant } from './invariant.ts';

export const NUMBERING: readonly Invariant[] = [
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
];
