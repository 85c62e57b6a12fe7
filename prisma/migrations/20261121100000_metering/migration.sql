-- Metering: holds with their pins, counters of tiers and caps, usage rollups.

CREATE TYPE "HoldStatus" AS ENUM ('OPEN', 'CAPTURED', 'RELEASED', 'EXPIRED');
CREATE TYPE "RollupGrain" AS ENUM ('QUARTER_HOUR', 'DAY');

ALTER TABLE "wallet" ADD COLUMN "last_active_at" TIMESTAMPTZ(3);

-- What a capture used, what a refund gives back, what was checked. `used_at` is when the work was done: reports of
-- dimensions that no rollup keeps read a period by it.
ALTER TABLE "ledger_transaction"
  ADD COLUMN "hold_id" UUID,
  ADD COLUMN "refunded_id" UUID,
  ADD COLUMN "limits" JSONB,
  ADD COLUMN "used_at" TIMESTAMPTZ(3) GENERATED ALWAYS AS (
    CASE WHEN "kind" IN ('DEBIT', 'CAPTURE') THEN coalesce("occurred_at", "effective_at") END) STORED;
CREATE INDEX "ledger_transaction_used" ON "ledger_transaction" ("wallet_id", "used_at") WHERE "used_at" IS NOT NULL;
CREATE INDEX "ledger_transaction_task" ON "ledger_transaction" ("wallet_id", "task_id") WHERE "task_id" IS NOT NULL;
CREATE INDEX "ledger_transaction_execution" ON "ledger_transaction" ("wallet_id", "execution_id")
  WHERE "execution_id" IS NOT NULL;
CREATE INDEX "ledger_transaction_hold" ON "ledger_transaction" ("hold_id") WHERE "hold_id" IS NOT NULL;
CREATE INDEX "ledger_transaction_refunded" ON "ledger_transaction" ("refunded_id") WHERE "refunded_id" IS NOT NULL;

CREATE TABLE "hold" (
  "id" UUID NOT NULL,
  "wallet_id" UUID NOT NULL,
  "status" "HoldStatus" NOT NULL,
  "amount_micros" BIGINT NOT NULL,
  "captured_micros" BIGINT NOT NULL DEFAULT 0,
  "remaining_micros" BIGINT NOT NULL,
  "idempotency_key" TEXT NOT NULL,
  "lines" JSONB NOT NULL,
  "rate_card_version" INTEGER NOT NULL,
  "actor_kind" "ActorKind" NOT NULL,
  "actor_id" TEXT NOT NULL,
  "user_id" TEXT,
  "project_id" UUID,
  "task_id" TEXT,
  "execution_id" TEXT,
  "metadata" JSONB,
  "reservations" JSONB NOT NULL,
  "created_at" TIMESTAMPTZ(3) NOT NULL,
  "expires_at" TIMESTAMPTZ(3) NOT NULL,
  "resolved_at" TIMESTAMPTZ(3),
  CONSTRAINT "hold_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "hold_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "hold_amounts" CHECK (0 <= "remaining_micros" AND "remaining_micros" <= "amount_micros"
    AND "captured_micros" >= 0),
  CONSTRAINT "hold_life" CHECK ("expires_at" > "created_at"),
  CONSTRAINT "hold_resolved" CHECK (("status" = 'OPEN') = ("resolved_at" IS NULL)
    AND ("status" = 'OPEN' OR "remaining_micros" = 0))
);
CREATE INDEX "hold_wallet_id_created_at_id_idx" ON "hold" ("wallet_id", "created_at", "id");
CREATE INDEX "hold_due" ON "hold" ("wallet_id", "expires_at", "id") WHERE "status" = 'OPEN';
CREATE INDEX "hold_task" ON "hold" ("wallet_id", "task_id") WHERE "status" = 'OPEN' AND "task_id" IS NOT NULL;
CREATE INDEX "hold_execution" ON "hold" ("wallet_id", "execution_id")
  WHERE "status" = 'OPEN' AND "execution_id" IS NOT NULL;

CREATE TABLE "hold_pin" (
  "hold_id" UUID NOT NULL,
  "position" INTEGER NOT NULL,
  "lot_id" UUID NOT NULL,
  "pinned_micros" BIGINT NOT NULL,
  CONSTRAINT "hold_pin_pkey" PRIMARY KEY ("hold_id", "position"),
  CONSTRAINT "hold_pin_hold_id_fkey" FOREIGN KEY ("hold_id") REFERENCES "hold" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "hold_pin_lot_id_fkey" FOREIGN KEY ("lot_id") REFERENCES "lot" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "hold_pin_amount" CHECK ("pinned_micros" >= 0)
);

CREATE TABLE "tier_counter" (
  "wallet_id" UUID NOT NULL,
  "meter" TEXT NOT NULL,
  "rate" TEXT NOT NULL,
  "period_start" TIMESTAMPTZ(3) NOT NULL,
  "quantity" DECIMAL NOT NULL,
  CONSTRAINT "tier_counter_pkey" PRIMARY KEY ("wallet_id", "meter", "rate"),
  CONSTRAINT "tier_counter_quantity" CHECK ("quantity" >= 0)
);

CREATE TABLE "spend_counter" (
  "wallet_id" UUID NOT NULL,
  "limit_code" TEXT NOT NULL,
  "window_start" TIMESTAMPTZ(3) NOT NULL,
  "used_micros" BIGINT NOT NULL,
  CONSTRAINT "spend_counter_pkey" PRIMARY KEY ("wallet_id", "limit_code"),
  CONSTRAINT "spend_counter_used" CHECK ("used_micros" >= 0)
);

-- No foreign keys: like the append-only books, it is written with every batch and only by the posting engine.
CREATE TABLE "usage_rollup" (
  "wallet_id" UUID NOT NULL,
  "grain" "RollupGrain" NOT NULL,
  "starts_at" TIMESTAMPTZ(3) NOT NULL,
  "meter" TEXT NOT NULL,
  "model" TEXT NOT NULL,
  "modality" TEXT NOT NULL,
  "operation" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "project_id" TEXT NOT NULL,
  "api_key_id" TEXT NOT NULL,
  "quantity" DECIMAL NOT NULL,
  "credits_micros" BIGINT NOT NULL,
  "events" BIGINT NOT NULL,
  CONSTRAINT "usage_rollup_pkey" PRIMARY KEY ("wallet_id", "grain", "starts_at", "meter", "model", "modality",
    "operation", "user_id", "project_id", "api_key_id"),
  CONSTRAINT "usage_rollup_amounts" CHECK ("quantity" >= 0 AND "credits_micros" >= 0 AND "events" > 0)
);
