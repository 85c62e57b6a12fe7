-- Activity: one feed per organization of what happened, for people to read.

CREATE TYPE "ActivityKind" AS ENUM ('USAGE', 'PURCHASE', 'PLAN', 'HOLD', 'REFUND', 'ADJUSTMENT', 'ALERT', 'MEMBER', 'API_KEY', 'SETTINGS');

-- The newest number of a feed. Its row is the lock under which the next ones are given, so that the order of numbers is the
-- order of commits: whoever has read up to a number has missed nothing before it.
CREATE TABLE "activity_feed" (
  "organization_id" UUID NOT NULL,
  "last_number" BIGINT NOT NULL,
  CONSTRAINT "activity_feed_pkey" PRIMARY KEY ("organization_id"),
  CONSTRAINT "activity_feed_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "activity_feed_number" CHECK ("last_number" >= 1)
);

-- No foreign key: like the books it is only ever appended to, together with the row of its feed.
CREATE TABLE "activity" (
  "organization_id" UUID NOT NULL,
  "number" BIGINT NOT NULL,
  "kind" "ActivityKind" NOT NULL,
  "summary" TEXT NOT NULL,
  "credits_micros" BIGINT,
  "actor_kind" "ActorKind" NOT NULL,
  "actor_id" TEXT NOT NULL,
  "task_id" TEXT,
  "execution_id" TEXT,
  "occurred_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "activity_pkey" PRIMARY KEY ("organization_id", "number"),
  CONSTRAINT "activity_number" CHECK ("number" >= 1),
  CONSTRAINT "activity_summary" CHECK ("summary" <> '' AND char_length("summary") <= 2000)
);
CREATE INDEX "activity_organization_id_kind_number_idx" ON "activity" ("organization_id", "kind", "number");
CREATE INDEX "activity_organization_id_occurred_at_number_idx" ON "activity" ("organization_id", "occurred_at", "number");
CREATE INDEX "activity_task" ON "activity" ("organization_id", "task_id", "number") WHERE "task_id" IS NOT NULL;
CREATE INDEX "activity_execution" ON "activity" ("organization_id", "execution_id", "number")
  WHERE "execution_id" IS NOT NULL;

CREATE TRIGGER "activity_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "activity"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();

-- Usage that is being grouped. Up to where the transactions of a wallet were read, and until when releases of holds were.
CREATE TABLE "usage_watermark" (
  "wallet_id" UUID NOT NULL,
  "posted_at" TIMESTAMPTZ(3) NOT NULL,
  "transaction_id" UUID NOT NULL,
  "released_to" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "usage_watermark_pkey" PRIMARY KEY ("wallet_id"),
  CONSTRAINT "usage_watermark_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE
);

-- A group that has not ended yet. Empty text stands for none.
CREATE TABLE "open_usage" (
  "wallet_id" UUID NOT NULL,
  "task_id" TEXT NOT NULL,
  "execution_id" TEXT NOT NULL,
  "grouped_actor" TEXT NOT NULL,
  "operations" BIGINT NOT NULL,
  "credits_micros" BIGINT NOT NULL,
  "actor_kind" "ActorKind" NOT NULL,
  "actor_id" TEXT NOT NULL,
  "started_at" TIMESTAMPTZ(3) NOT NULL,
  "last_at" TIMESTAMPTZ(3) NOT NULL,
  "work_ended_at" TIMESTAMPTZ(3),
  "due_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "open_usage_pkey" PRIMARY KEY ("wallet_id", "task_id", "execution_id", "grouped_actor"),
  CONSTRAINT "open_usage_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "open_usage_sums" CHECK ("operations" >= 1 AND "credits_micros" <= 0),
  CONSTRAINT "open_usage_times" CHECK ("started_at" <= "last_at"),
  CONSTRAINT "open_usage_key" CHECK (("grouped_actor" = '') = ("task_id" <> '' OR "execution_id" <> ''))
);
CREATE INDEX "open_usage_wallet_id_due_at_idx" ON "open_usage" ("wallet_id", "due_at");

-- In the order in which they are grouped.
CREATE INDEX "ledger_transaction_usage_posted" ON "ledger_transaction" ("wallet_id", "posted_at", "id")
  WHERE "kind" IN ('DEBIT', 'CAPTURE');
CREATE INDEX "hold_released" ON "hold" ("wallet_id", "resolved_at") WHERE "status" = 'RELEASED';

-- When usage of a wallet is to be published next, in the organization's time: five minutes after the first charge that
-- nobody has looked at, or at once where a hold has ended. Charges that follow leave it as it is.
ALTER TABLE "wallet" ADD COLUMN "usage_due_at" TIMESTAMPTZ(3);
UPDATE "wallet" w SET "usage_due_at" = w."last_posted_at"
WHERE EXISTS (SELECT 1 FROM "ledger_transaction" t WHERE t."wallet_id" = w."id" AND t."kind" IN ('DEBIT', 'CAPTURE'));
CREATE INDEX "wallet_usage_due" ON "wallet" ("usage_due_at", "id") WHERE "usage_due_at" IS NOT NULL;
