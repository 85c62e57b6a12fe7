-- Credits earmarked for a project or member. What is earmarked lies in lots of its own, split from the lots of the same bucket;
-- the aggregates over them are kept by the posting engine under the wallet's lock.
CREATE TABLE "allocation" (
  "id" UUID NOT NULL,
  "wallet_id" UUID NOT NULL,
  "project_id" UUID,
  "user_id" TEXT,
  "exclusive" BOOLEAN NOT NULL,
  "available_micros" BIGINT NOT NULL DEFAULT 0,
  "pinned_micros" BIGINT NOT NULL DEFAULT 0,
  "frozen_micros" BIGINT NOT NULL DEFAULT 0,
  "used_micros" BIGINT NOT NULL DEFAULT 0,
  "created_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "allocation_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "allocation_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "allocation_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id")
    ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT "allocation_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "user_account"("id")
    ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT "allocation_target" CHECK (num_nonnulls("project_id", "user_id") = 1),
  CONSTRAINT "allocation_amounts" CHECK (
    "available_micros" >= 0 AND "pinned_micros" >= 0 AND "frozen_micros" >= 0 AND "used_micros" >= 0)
);
CREATE INDEX "allocation_wallet_id_idx" ON "allocation" ("wallet_id");
-- One for each project and member of an organization.
CREATE UNIQUE INDEX "allocation_project" ON "allocation" ("wallet_id", "project_id") WHERE "project_id" IS NOT NULL;
CREATE UNIQUE INDEX "allocation_user" ON "allocation" ("wallet_id", "user_id") WHERE "user_id" IS NOT NULL;

ALTER TABLE "lot"
  ADD COLUMN "allocation_id" UUID,
  ADD COLUMN "origin_id" UUID,
  ADD CONSTRAINT "lot_allocation_id_fkey" FOREIGN KEY ("allocation_id") REFERENCES "allocation"("id")
    ON DELETE SET NULL ON UPDATE CASCADE,
  ADD CONSTRAINT "lot_origin_id_fkey" FOREIGN KEY ("origin_id") REFERENCES "lot"("id")
    ON DELETE SET NULL ON UPDATE CASCADE;
CREATE INDEX "lot_origin" ON "lot" ("origin_id") WHERE "origin_id" IS NOT NULL;

ALTER TABLE "bucket"
  ADD COLUMN "earmarked_micros" BIGINT NOT NULL DEFAULT 0,
  ADD CONSTRAINT "bucket_earmarked" CHECK ("earmarked_micros" BETWEEN 0 AND "available_micros");

-- What is earmarked for nobody, in burn order; and what is, by its allocation.
DROP INDEX "lot_burn_order";
CREATE INDEX "lot_burn_order" ON "lot" ("bucket_id", "expires_at", "paid", "effective_at", "id")
  WHERE "spendable" AND "allocation_id" IS NULL;
CREATE INDEX "lot_allocated" ON "lot" ("allocation_id") WHERE "spendable" AND "allocation_id" IS NOT NULL;

-- A lot that was split off belongs to the same purchase as its origin: still one of each source for a purchase.
DROP INDEX "lot_purchase_source";
CREATE UNIQUE INDEX "lot_purchase_source" ON "lot" ("purchase_id", "source")
  WHERE "source" IN ('PURCHASE', 'BONUS') AND "origin_id" IS NULL;
