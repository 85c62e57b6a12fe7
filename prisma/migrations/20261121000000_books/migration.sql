-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "Role" AS ENUM ('OWNER', 'ADMIN', 'EDITOR', 'VIEWER');

-- CreateEnum
CREATE TYPE "BalanceAccess" AS ENUM ('FULL', 'EARMARK_ONLY');

-- CreateEnum
CREATE TYPE "MembershipStatus" AS ENUM ('ACTIVE', 'INVITED');

-- CreateEnum
CREATE TYPE "Scope" AS ENUM ('BILLING_READ', 'BILLING_WRITE', 'USAGE_WRITE');

-- CreateEnum
CREATE TYPE "ActorKind" AS ENUM ('USER', 'API_KEY', 'OPERATOR', 'SYSTEM');

-- CreateEnum
CREATE TYPE "BucketKind" AS ENUM ('ALLOWANCE', 'PLAN', 'PURCHASED', 'PROMOTIONAL');

-- CreateEnum
CREATE TYPE "RefreshInterval" AS ENUM ('DAY', 'MONTH');

-- CreateEnum
CREATE TYPE "LotSource" AS ENUM ('PLAN_GRANT', 'ALLOWANCE', 'PURCHASE', 'BONUS', 'PROMOTION', 'ADJUSTMENT', 'REFUND', 'ROLLOVER');

-- CreateEnum
CREATE TYPE "Direction" AS ENUM ('CREDIT', 'DEBIT');

-- CreateEnum
CREATE TYPE "TransactionKind" AS ENUM ('DEBIT', 'CAPTURE', 'REFUND', 'GRANT', 'PURCHASE', 'EXPIRY', 'ROLLOVER', 'ALLOCATION', 'ADJUSTMENT', 'REVERSAL');

-- CreateEnum
CREATE TYPE "SubscriptionStatus" AS ENUM ('TRIALING', 'ACTIVE', 'PAST_DUE', 'CANCELED');

-- CreateEnum
CREATE TYPE "PurchaseStatus" AS ENUM ('PENDING', 'PAID', 'FAILED', 'EXPIRED', 'REFUNDED', 'DISPUTED');

-- CreateEnum
CREATE TYPE "PurchaseKind" AS ENUM ('PACKAGE', 'TOP_UP', 'AUTO_TOP_UP', 'PLAN');

-- CreateTable
CREATE TABLE "user_account" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "user_account_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "organization" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "time_zone" TEXT NOT NULL,
    "test_clock_offset_ms" BIGINT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "organization_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "membership" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "user_id" TEXT,
    "role" "Role" NOT NULL,
    "balance_access" "BalanceAccess" NOT NULL DEFAULT 'FULL',
    "status" "MembershipStatus" NOT NULL DEFAULT 'ACTIVE',
    "invited_email" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "membership_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "project" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "project_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_key" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "prefix" TEXT NOT NULL,
    "secret_hash" BYTEA NOT NULL,
    "master" BOOLEAN NOT NULL DEFAULT false,
    "scopes" "Scope"[],
    "project_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3),
    "last_used_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),

    CONSTRAINT "api_key_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "wallet" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "balance_micros" BIGINT NOT NULL DEFAULT 0,
    "debt_micros" BIGINT NOT NULL DEFAULT 0,
    "sequence" BIGINT NOT NULL DEFAULT 0,
    "version" BIGINT NOT NULL DEFAULT 0,
    "head_hash" BYTEA NOT NULL,
    "last_posted_at" TIMESTAMPTZ(3) NOT NULL,
    "next_transition_at" TIMESTAMPTZ(3),
    "frozen_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "wallet_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "bucket" (
    "id" UUID NOT NULL,
    "wallet_id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "kind" "BucketKind" NOT NULL,
    "burn_priority" INTEGER NOT NULL,
    "available_micros" BIGINT NOT NULL DEFAULT 0,
    "pinned_micros" BIGINT NOT NULL DEFAULT 0,
    "frozen_micros" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "bucket_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "allowance" (
    "bucket_id" UUID NOT NULL,
    "wallet_id" UUID NOT NULL,
    "interval" "RefreshInterval" NOT NULL,
    "amount_micros" BIGINT NOT NULL,
    "anchor_day" INTEGER NOT NULL,
    "last_refreshed_at" TIMESTAMPTZ(3),
    "next_refresh_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "allowance_pkey" PRIMARY KEY ("bucket_id")
);

-- CreateTable
CREATE TABLE "lot" (
    "id" UUID NOT NULL,
    "wallet_id" UUID NOT NULL,
    "bucket_id" UUID NOT NULL,
    "source" "LotSource" NOT NULL,
    "granted_micros" BIGINT NOT NULL,
    "remaining_micros" BIGINT NOT NULL,
    "pinned_micros" BIGINT NOT NULL DEFAULT 0,
    "paid" BOOLEAN NOT NULL,
    "effective_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3),
    "in_force" BOOLEAN NOT NULL,
    "frozen" BOOLEAN NOT NULL DEFAULT false,
    "next_transition_at" TIMESTAMPTZ(3),
    "purchase_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "lot_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ledger_transaction" (
    "id" UUID NOT NULL,
    "wallet_id" UUID NOT NULL,
    "kind" "TransactionKind" NOT NULL,
    "reason_code" TEXT NOT NULL,
    "idempotency_key" TEXT,
    "amount_micros" BIGINT NOT NULL,
    "lines" JSONB NOT NULL,
    "rate_card_version" INTEGER,
    "actor_kind" "ActorKind" NOT NULL,
    "actor_id" TEXT NOT NULL,
    "user_id" TEXT,
    "project_id" UUID,
    "task_id" TEXT,
    "execution_id" TEXT,
    "description" TEXT,
    "metadata" JSONB,
    "occurred_at" TIMESTAMPTZ(3),
    "effective_at" TIMESTAMPTZ(3) NOT NULL,
    "posted_at" TIMESTAMPTZ(3) NOT NULL,
    "purchase_id" UUID,

    CONSTRAINT "ledger_transaction_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ledger_entry" (
    "wallet_id" UUID NOT NULL,
    "sequence" BIGINT NOT NULL,
    "transaction_id" UUID NOT NULL,
    "direction" "Direction" NOT NULL,
    "amount_micros" BIGINT NOT NULL,
    "balance_after_micros" BIGINT NOT NULL,
    "reason_code" TEXT NOT NULL,
    "lot_id" UUID,
    "bucket_id" UUID,
    "meter" TEXT,
    "task_id" TEXT,
    "execution_id" TEXT,
    "actor_kind" "ActorKind" NOT NULL,
    "actor_id" TEXT NOT NULL,
    "occurred_at" TIMESTAMPTZ(3),
    "effective_at" TIMESTAMPTZ(3) NOT NULL,
    "posted_at" TIMESTAMPTZ(3) NOT NULL,
    "hash" BYTEA NOT NULL,

    CONSTRAINT "ledger_entry_pkey" PRIMARY KEY ("wallet_id","sequence")
);

-- CreateTable
CREATE TABLE "balance_change" (
    "wallet_id" UUID NOT NULL,
    "version" BIGINT NOT NULL,
    "sequence" BIGINT NOT NULL,
    "change_micros" BIGINT NOT NULL,
    "reason_code" TEXT NOT NULL,
    "total_available_micros" BIGINT NOT NULL,
    "held_micros" BIGINT NOT NULL,
    "transaction_id" UUID,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "balance_change_pkey" PRIMARY KEY ("wallet_id","version")
);

-- CreateTable
CREATE TABLE "idempotency_record" (
    "organization_id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "operation" TEXT NOT NULL,
    "request_hash" BYTEA NOT NULL,
    "outcome" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "idempotency_record_pkey" PRIMARY KEY ("organization_id","key")
);

-- CreateTable
CREATE TABLE "plan_subscription" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "plan_key" TEXT NOT NULL,
    "status" "SubscriptionStatus" NOT NULL,
    "anchor_day" INTEGER NOT NULL,
    "current_period_start" TIMESTAMPTZ(3) NOT NULL,
    "current_period_end" TIMESTAMPTZ(3) NOT NULL,
    "trial_ends_at" TIMESTAMPTZ(3),
    "cancel_at_period_end" BOOLEAN NOT NULL DEFAULT false,
    "scheduled_plan_key" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "plan_subscription_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "purchase" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "kind" "PurchaseKind" NOT NULL,
    "status" "PurchaseStatus" NOT NULL,
    "package_key" TEXT,
    "catalog_version" INTEGER NOT NULL,
    "credits_micros" BIGINT NOT NULL,
    "bonus_micros" BIGINT NOT NULL,
    "bucket_key" TEXT NOT NULL,
    "expires_after_days" INTEGER,
    "price_minor" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "provider_reference" TEXT,
    "checkout_url" TEXT,
    "actor_kind" "ActorKind" NOT NULL,
    "actor_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "paid_at" TIMESTAMPTZ(3),

    CONSTRAINT "purchase_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "sandbox_checkout" (
    "token" TEXT NOT NULL,
    "purchase_id" UUID NOT NULL,
    "description" TEXT NOT NULL,
    "amount_minor" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "outcome" TEXT,
    "event_id" TEXT,
    "settled_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "sandbox_checkout_pkey" PRIMARY KEY ("token")
);

-- CreateTable
CREATE TABLE "catalog_version" (
    "version" INTEGER NOT NULL,
    "source" TEXT NOT NULL,
    "effective_at" TIMESTAMPTZ(3) NOT NULL,
    "applied_at" TIMESTAMPTZ(3) NOT NULL,
    "applied_by" TEXT NOT NULL,

    CONSTRAINT "catalog_version_pkey" PRIMARY KEY ("version")
);

-- CreateTable
CREATE TABLE "audit_record" (
    "id" UUID NOT NULL,
    "organization_id" UUID,
    "action" TEXT NOT NULL,
    "actor_kind" "ActorKind" NOT NULL,
    "actor_id" TEXT NOT NULL,
    "before" JSONB,
    "after" JSONB,
    "request_id" TEXT,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "audit_record_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "installation_secret" (
    "name" TEXT NOT NULL,
    "value" TEXT NOT NULL,

    CONSTRAINT "installation_secret_pkey" PRIMARY KEY ("name")
);

-- CreateIndex
CREATE UNIQUE INDEX "organization_slug_key" ON "organization"("slug");

-- CreateIndex
CREATE INDEX "membership_user_id_idx" ON "membership"("user_id");

-- CreateIndex
CREATE UNIQUE INDEX "membership_organization_id_user_id_key" ON "membership"("organization_id", "user_id");

-- CreateIndex
CREATE UNIQUE INDEX "project_organization_id_key_key" ON "project"("organization_id", "key");

-- CreateIndex
CREATE UNIQUE INDEX "api_key_secret_hash_key" ON "api_key"("secret_hash");

-- CreateIndex
CREATE INDEX "api_key_organization_id_created_at_id_idx" ON "api_key"("organization_id", "created_at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "wallet_organization_id_key" ON "wallet"("organization_id");

-- CreateIndex
CREATE INDEX "wallet_next_transition_at_idx" ON "wallet"("next_transition_at");

-- CreateIndex
CREATE UNIQUE INDEX "bucket_wallet_id_key_key" ON "bucket"("wallet_id", "key");

-- CreateIndex
CREATE INDEX "allowance_wallet_id_idx" ON "allowance"("wallet_id");

-- CreateIndex
CREATE INDEX "lot_wallet_id_next_transition_at_idx" ON "lot"("wallet_id", "next_transition_at");

-- CreateIndex
CREATE UNIQUE INDEX "lot_purchase_id_source_key" ON "lot"("purchase_id", "source");

-- CreateIndex
CREATE INDEX "ledger_entry_transaction_id_idx" ON "ledger_entry"("transaction_id");

-- CreateIndex
CREATE UNIQUE INDEX "plan_subscription_organization_id_key" ON "plan_subscription"("organization_id");

-- CreateIndex
CREATE INDEX "purchase_organization_id_created_at_id_idx" ON "purchase"("organization_id", "created_at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "purchase_provider_provider_reference_key" ON "purchase"("provider", "provider_reference");

-- CreateIndex
CREATE UNIQUE INDEX "sandbox_checkout_purchase_id_key" ON "sandbox_checkout"("purchase_id");

-- CreateIndex
CREATE INDEX "audit_record_organization_id_occurred_at_id_idx" ON "audit_record"("organization_id", "occurred_at", "id");

-- AddForeignKey
ALTER TABLE "membership" ADD CONSTRAINT "membership_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "membership" ADD CONSTRAINT "membership_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "user_account"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "project" ADD CONSTRAINT "project_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_key" ADD CONSTRAINT "api_key_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_key" ADD CONSTRAINT "api_key_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "wallet" ADD CONSTRAINT "wallet_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "bucket" ADD CONSTRAINT "bucket_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "allowance" ADD CONSTRAINT "allowance_bucket_id_fkey" FOREIGN KEY ("bucket_id") REFERENCES "bucket"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "allowance" ADD CONSTRAINT "allowance_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "lot" ADD CONSTRAINT "lot_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "lot" ADD CONSTRAINT "lot_bucket_id_fkey" FOREIGN KEY ("bucket_id") REFERENCES "bucket"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "lot" ADD CONSTRAINT "lot_purchase_id_fkey" FOREIGN KEY ("purchase_id") REFERENCES "purchase"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "plan_subscription" ADD CONSTRAINT "plan_subscription_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "purchase" ADD CONSTRAINT "purchase_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "audit_record" ADD CONSTRAINT "audit_record_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- What Prisma cannot say. Each constraint below has a test in test/persistence/constraints.test.ts that shows it refusing.

-- Amounts that cannot be.
ALTER TABLE "lot"
  ADD CONSTRAINT "lot_amounts" CHECK (0 <= "pinned_micros" AND "pinned_micros" <= "remaining_micros"
    AND "remaining_micros" <= "granted_micros" AND "granted_micros" > 0),
  ADD CONSTRAINT "lot_life" CHECK ("expires_at" IS NULL OR "expires_at" > "effective_at");
ALTER TABLE "bucket"
  ADD CONSTRAINT "bucket_amounts" CHECK ("available_micros" >= 0 AND "pinned_micros" >= 0 AND "frozen_micros" >= 0);
ALTER TABLE "wallet"
  ADD CONSTRAINT "wallet_counters" CHECK ("debt_micros" >= 0 AND "sequence" >= 0 AND "version" >= 0
    AND octet_length("head_hash") = 32);
ALTER TABLE "allowance"
  ADD CONSTRAINT "allowance_amount" CHECK ("amount_micros" >= 0 AND "anchor_day" BETWEEN 1 AND 31);
ALTER TABLE "ledger_entry"
  ADD CONSTRAINT "ledger_entry_amount" CHECK ("amount_micros" > 0 AND octet_length("hash") = 32),
  ADD CONSTRAINT "ledger_entry_order" CHECK ("sequence" > 0 AND "effective_at" <= "posted_at");
ALTER TABLE "idempotency_record"
  ADD CONSTRAINT "idempotency_record_key" CHECK (char_length("key") BETWEEN 1 AND 255);
ALTER TABLE "purchase"
  ADD CONSTRAINT "purchase_amounts" CHECK ("credits_micros" >= 0 AND "bonus_micros" >= 0 AND "price_minor" >= 0
    AND "currency" ~ '^[A-Z]{3}$'),
  ADD CONSTRAINT "purchase_paid" CHECK (("paid_at" IS NOT NULL) = ("status" IN ('PAID', 'REFUNDED', 'DISPUTED')));
ALTER TABLE "membership"
  ADD CONSTRAINT "membership_person" CHECK ("user_id" IS NOT NULL OR "invited_email" IS NOT NULL);
ALTER TABLE "organization"
  ADD CONSTRAINT "organization_slug" CHECK ("slug" ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  ADD CONSTRAINT "organization_test_clock" CHECK ("test_clock_offset_ms" >= 0);

-- At most one open invitation per address and organization.
CREATE UNIQUE INDEX "membership_invitation" ON "membership" ("organization_id", lower("invited_email"))
  WHERE "status" = 'INVITED';

-- The burn order within a bucket (domain/wallet/burn-order.ts). The predicate is a column of its own so that spending a
-- part of a lot changes no indexed column and stays a heap-only update.
ALTER TABLE "lot" ADD COLUMN "spendable" BOOLEAN NOT NULL
  GENERATED ALWAYS AS ("in_force" AND NOT "frozen" AND "remaining_micros" > "pinned_micros") STORED;
CREATE INDEX "lot_burn_order" ON "lot" ("bucket_id", "expires_at", "paid", "effective_at", "id") WHERE "spendable";

-- Room on each page for the next version of rows that change all the time.
ALTER TABLE "wallet" SET (fillfactor = 50);
ALTER TABLE "bucket" SET (fillfactor = 50);
ALTER TABLE "lot" SET (fillfactor = 70);

-- Ledger filters (requirement W5), newest first. Most entries are USAGE: filters for it find theirs without an index.
CREATE INDEX "ledger_entry_task" ON "ledger_entry" ("wallet_id", "task_id", "sequence") WHERE "task_id" IS NOT NULL;
CREATE INDEX "ledger_entry_execution" ON "ledger_entry" ("wallet_id", "execution_id", "sequence")
  WHERE "execution_id" IS NOT NULL;
CREATE INDEX "ledger_entry_reason" ON "ledger_entry" ("wallet_id", "reason_code", "sequence")
  WHERE "reason_code" <> 'USAGE';
CREATE INDEX "ledger_entry_effective" ON "ledger_entry" ("wallet_id", "effective_at", "sequence");
CREATE INDEX "ledger_transaction_purchase" ON "ledger_transaction" ("purchase_id") WHERE "purchase_id" IS NOT NULL;

-- Entries are only ever appended, as the next number of their wallet and from the balance that the one before left. The
-- books' append-only tables have no foreign keys: a check per row and reference cost more than the rows. One set-based
-- check per statement takes their place for entries and asks for more: everything that an entry names is its wallet's.
CREATE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'P0401';
END
$$;

CREATE FUNCTION "check_ledger_chain"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  broken record;
BEGIN
  -- The entry before is appended along or, for the first of each wallet, one index probe away.
  SELECT chained."wallet_id", chained."sequence" INTO broken
  FROM (
    SELECT "wallet_id", "sequence", "balance_after_micros" - CASE "direction" WHEN 'CREDIT' THEN "amount_micros"
        ELSE -"amount_micros" END AS "balance_before",
      lag("sequence") OVER w AS "appended_sequence", lag("balance_after_micros") OVER w AS "appended_balance"
    FROM appended
    WINDOW w AS (PARTITION BY "wallet_id" ORDER BY "sequence")
  ) chained
  WHERE "balance_before" IS DISTINCT FROM CASE
    WHEN "appended_sequence" = "sequence" - 1 THEN "appended_balance"
    WHEN "sequence" = 1 THEN 0
    ELSE (SELECT previous."balance_after_micros" FROM "ledger_entry" previous
      WHERE previous."wallet_id" = chained."wallet_id" AND previous."sequence" = chained."sequence" - 1)
    END
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'entry % of wallet % does not follow the one before', broken."sequence", broken."wallet_id"
      USING ERRCODE = 'P0402';
  END IF;
  -- Laterals with a limit: index probes, whatever the planner thinks of tables without statistics.
  SELECT entry."wallet_id", entry."sequence" INTO broken
  FROM appended entry
  LEFT JOIN LATERAL (
    SELECT 1 AS found FROM "ledger_transaction" t
    WHERE t."id" = entry."transaction_id" AND t."wallet_id" = entry."wallet_id" LIMIT 1
  ) t ON true
  LEFT JOIN LATERAL (
    SELECT 1 AS found FROM "lot" l
    WHERE l."id" = entry."lot_id" AND l."wallet_id" = entry."wallet_id" AND l."bucket_id" = entry."bucket_id" LIMIT 1
  ) l ON true
  WHERE t.found IS NULL OR (entry."lot_id" IS NOT NULL AND l.found IS NULL)
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'entry % of wallet % names a transaction or lot that is not its wallet''s', broken."sequence",
      broken."wallet_id" USING ERRCODE = 'P0403';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER "ledger_entry_chain" AFTER INSERT ON "ledger_entry"
  REFERENCING NEW TABLE AS appended FOR EACH STATEMENT EXECUTE FUNCTION "check_ledger_chain"();
CREATE TRIGGER "ledger_entry_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "ledger_entry"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
CREATE TRIGGER "ledger_transaction_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "ledger_transaction"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
CREATE TRIGGER "audit_record_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_record"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
CREATE TRIGGER "idempotency_record_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "idempotency_record"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
