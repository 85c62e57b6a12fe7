-- Top-ups that begin by themselves when a wallet falls below a threshold: what is bought, within which ceiling a month, and
-- where the next one stands. The posting engine writes them under the wallet's lock.
CREATE TABLE "auto_top_up" (
  "wallet_id" UUID NOT NULL,
  "enabled" BOOLEAN NOT NULL,
  "threshold_micros" BIGINT NOT NULL,
  "package_key" TEXT,
  "credits_micros" BIGINT,
  "ceiling_minor" BIGINT NOT NULL,
  "currency" TEXT NOT NULL,
  "wanted_at" TIMESTAMPTZ(3),
  "purchase_id" UUID,
  "failed_attempts" INTEGER NOT NULL DEFAULT 0,
  "next_attempt_at" TIMESTAMPTZ(3),
  "ceiling_until" TIMESTAMPTZ(3),
  "suspended_reason" TEXT,
  CONSTRAINT "auto_top_up_pkey" PRIMARY KEY ("wallet_id"),
  CONSTRAINT "auto_top_up_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "auto_top_up_purchase_id_fkey" FOREIGN KEY ("purchase_id") REFERENCES "purchase"("id")
    ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT "auto_top_up_threshold" CHECK ("threshold_micros" > 0),
  CONSTRAINT "auto_top_up_choice" CHECK (num_nonnulls("package_key", "credits_micros") = 1 AND "credits_micros" > 0),
  CONSTRAINT "auto_top_up_ceiling" CHECK ("ceiling_minor" > 0),
  CONSTRAINT "auto_top_up_attempts" CHECK ("failed_attempts" >= 0),
  -- One at a time, and none while it is suspended.
  CONSTRAINT "auto_top_up_wanted" CHECK ("wanted_at" IS NULL
    OR ("enabled" AND "purchase_id" IS NULL AND "suspended_reason" IS NULL))
);
CREATE UNIQUE INDEX "auto_top_up_purchase_id_key" ON "auto_top_up" ("purchase_id");
