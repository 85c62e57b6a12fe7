/** Every row that another names is of the same organization, and of the same wallet where it has one. */
import { fragment } from '../connection.ts';
import { PINS_OF_HOLD } from './fragments.ts';
import type { Invariant } from './invariant.ts';

export const OWNERSHIP: readonly Invariant[] = [
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
];
