-- Charges that are made while nobody is there to pay. Plans fill buckets by their allowances: what is paid for one goes to no
-- bucket of its own, and its lots are many.
ALTER TABLE "purchase"
  ADD COLUMN "off_session" BOOLEAN NOT NULL DEFAULT false,
  ALTER COLUMN "bucket_key" DROP NOT NULL,
  ADD CONSTRAINT "purchase_bucket" CHECK (("bucket_key" IS NULL) = ("kind" = 'PLAN'));

DROP INDEX "lot_purchase_id_source_key";
CREATE UNIQUE INDEX "lot_purchase_source" ON "lot" ("purchase_id", "source") WHERE "source" IN ('PURCHASE', 'BONUS');
CREATE INDEX "lot_purchase_id_idx" ON "lot" ("purchase_id");

-- When the next charge is due in the organization's time; charges whose answer is not known are found by their purchases.
ALTER TABLE "wallet" ADD COLUMN "next_charge_at" TIMESTAMPTZ(3);
CREATE INDEX "wallet_next_charge" ON "wallet" ("next_charge_at") WHERE "next_charge_at" IS NOT NULL AND "frozen_at" IS NULL;
CREATE INDEX "purchase_unanswered" ON "purchase" ("organization_id")
  WHERE "off_session" AND "status" = 'PENDING' AND "provider_reference" IS NULL;
