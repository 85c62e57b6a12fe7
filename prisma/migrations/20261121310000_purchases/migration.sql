-- Purchases beyond their payment: disputes, refunds, receipts.

-- What was bought in words, as the buyer read it. Which disputes of a payment wait for their verdict and which have one; since when its money is being given back.
ALTER TABLE "purchase"
  ADD COLUMN "description" TEXT NOT NULL DEFAULT 'Credits',
  ADD COLUMN "open_disputes" TEXT[] DEFAULT ARRAY[]::TEXT[],
  ADD COLUMN "closed_disputes" TEXT[] DEFAULT ARRAY[]::TEXT[],
  ADD COLUMN "refund_requested_at" TIMESTAMPTZ(3),
  ADD CONSTRAINT "purchase_disputed" CHECK ("open_disputes" IS NOT NULL AND "closed_disputes" IS NOT NULL
    AND ("status" <> 'DISPUTED' OR "open_disputes" <> ARRAY[]::TEXT[])),
  ADD CONSTRAINT "purchase_refunding" CHECK ("refund_requested_at" IS NULL OR "status" IN ('PAID', 'DISPUTED'));

-- What was taken back is not in force; what comes back to it does not stay.
ALTER TABLE "lot"
  ADD COLUMN "revoked" BOOLEAN NOT NULL DEFAULT false,
  ADD CONSTRAINT "lot_revoked" CHECK (NOT "revoked" OR NOT ("in_force" OR "frozen"));
