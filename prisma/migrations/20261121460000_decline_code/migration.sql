-- Why the provider said no to a purchase's payment, or to its refund. Kept, so that a replay is answered as the first time was;
-- nothing is known of what was declined before.
ALTER TABLE "purchase"
  ADD COLUMN "decline_code" TEXT,
  ADD CONSTRAINT "purchase_declined" CHECK ("decline_code" IS NULL
    OR ("status" IN ('FAILED', 'PAID', 'DISPUTED') AND "refund_requested_at" IS NULL));
