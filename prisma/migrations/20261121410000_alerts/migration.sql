-- Alerts on what can be spent, and what has become of them. The posting engine writes both under the wallet's lock.
CREATE TYPE "AlertState" AS ENUM ('ARMED', 'TRIGGERED');
CREATE TYPE "AlertTransition" AS ENUM ('TRIGGERED', 'RESOLVED');

ALTER TABLE "wallet" ADD COLUMN "alert_number" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "wallet" ADD CONSTRAINT "wallet_alert_number" CHECK ("alert_number" >= 0);

CREATE TABLE "alert" (
  "id" UUID NOT NULL,
  "wallet_id" UUID NOT NULL,
  "threshold_micros" BIGINT,
  "percent" INTEGER,
  "plan_key" TEXT,
  "state" "AlertState" NOT NULL,
  "last_triggered_at" TIMESTAMPTZ(3),
  "created_at" TIMESTAMPTZ(3) NOT NULL,
  "removed_at" TIMESTAMPTZ(3),
  "dismissed" BOOLEAN NOT NULL DEFAULT false,
  CONSTRAINT "alert_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "alert_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "alert_criterion" CHECK (num_nonnulls("threshold_micros", "percent") = 1 AND "threshold_micros" > 0
    AND "percent" BETWEEN 1 AND 100),
  CONSTRAINT "alert_triggered" CHECK ("state" = 'ARMED' OR "last_triggered_at" IS NOT NULL),
  -- A default of a plan that the organization does not want.
  CONSTRAINT "alert_dismissed" CHECK (NOT "dismissed" OR ("removed_at" IS NOT NULL AND "plan_key" IS NOT NULL))
);

-- What every batch loads; those that were removed for good are history.
CREATE INDEX "alert_in_force" ON "alert" ("wallet_id") WHERE "removed_at" IS NULL OR "dismissed";
-- One alert for one threshold: a crossing is told once.
CREATE UNIQUE INDEX "alert_one_a_threshold" ON "alert" ("wallet_id", coalesce("threshold_micros", 0), coalesce("percent", 0))
  WHERE "removed_at" IS NULL;

CREATE TABLE "alert_event" (
  "wallet_id" UUID NOT NULL,
  "number" BIGINT NOT NULL,
  "alert_id" UUID NOT NULL,
  "transition" "AlertTransition" NOT NULL,
  "threshold_micros" BIGINT NOT NULL,
  "total_available_micros" BIGINT NOT NULL,
  "version" BIGINT NOT NULL,
  "occurred_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "alert_event_pkey" PRIMARY KEY ("wallet_id", "number"),
  CONSTRAINT "alert_event_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "alert_event_alert_id_fkey" FOREIGN KEY ("alert_id") REFERENCES "alert"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "alert_event_number" CHECK ("number" >= 1),
  CONSTRAINT "alert_event_amounts" CHECK ("threshold_micros" >= 0 AND "total_available_micros" >= 0 AND "version" >= 0)
);

CREATE TRIGGER "alert_event_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "alert_event"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
