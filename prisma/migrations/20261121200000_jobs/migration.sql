-- When a job posts what is due on a wallet. Refreshes of wallets that nobody has used since the last one are left to
-- whoever touches them next, and such wallets stay overdue for as long: a sweep that met them again and again would
-- read the whole table. What must be posted on time is therefore a column of its own.

ALTER TABLE "wallet"
  ADD COLUMN "next_lot_or_hold_at" TIMESTAMPTZ(3),
  ADD COLUMN "last_refreshed_at" TIMESTAMPTZ(3);

UPDATE "wallet" w
SET "next_lot_or_hold_at" = (
      SELECT min(l."next_transition_at") FROM "lot" l
      WHERE l."wallet_id" = w."id" AND NOT l."frozen" AND NOT EXISTS (
        SELECT 1 FROM "allowance" a
        WHERE a."bucket_id" = l."bucket_id" AND l."in_force" AND a."next_refresh_at" = l."expires_at")),
    "last_refreshed_at" = (SELECT max(a."last_refreshed_at") FROM "allowance" a WHERE a."wallet_id" = w."id");

-- In the organization's time. Everything for a wallet that was used since its last refresh; else lots and holds alone.
ALTER TABLE "wallet" ADD COLUMN "settle_at" TIMESTAMPTZ(3) GENERATED ALWAYS AS (
  CASE WHEN "frozen_at" IS NULL THEN least("next_lot_or_hold_at",
    CASE WHEN "last_active_at" IS NOT NULL AND ("last_refreshed_at" IS NULL OR "last_active_at" >= "last_refreshed_at")
      THEN "next_transition_at" END)
  END) STORED;
CREATE INDEX "wallet_settle" ON "wallet" ("settle_at", "id") WHERE "settle_at" IS NOT NULL;
DROP INDEX "wallet_next_transition_at_idx";

-- Organizations whose clock is not the database's are few, and looked at one by one.
CREATE INDEX "organization_ahead" ON "organization" ("id") WHERE "test_clock_offset_ms" > 0;
