-- Plans that are paid: what a purchase pays for, and the payment that a subscription waits for.
ALTER TABLE "purchase"
  ADD COLUMN "plan_key" TEXT,
  ADD COLUMN "plan_purpose" TEXT,
  ADD COLUMN "from_plan_key" TEXT,
  ADD COLUMN "plan_period_start" TIMESTAMPTZ(3),
  ADD CONSTRAINT "purchase_plan" CHECK (("plan_key" IS NOT NULL) = ("kind" = 'PLAN')
    AND ("plan_purpose" IS NOT NULL) = ("kind" = 'PLAN')
    AND ("plan_purpose" IS NULL OR "plan_purpose" IN ('BEGINNING', 'CHANGE', 'RENEWAL'))
    AND ("from_plan_key" IS NOT NULL) = coalesce("plan_purpose" = 'CHANGE', false)
    AND ("plan_period_start" IS NOT NULL) = coalesce("plan_purpose" IN ('CHANGE', 'RENEWAL'), false));

ALTER TABLE "plan_subscription"
  ADD COLUMN "payment_due_since" TIMESTAMPTZ(3),
  ADD COLUMN "grace_ends_at" TIMESTAMPTZ(3),
  ADD COLUMN "failed_attempts" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "next_attempt_at" TIMESTAMPTZ(3),
  ADD COLUMN "charging_purchase_id" UUID,
  ADD COLUMN "price_minor" BIGINT,
  ADD COLUMN "price_currency" TEXT,
  ADD COLUMN "paid_by" UUID[] DEFAULT ARRAY[]::UUID[],
  ADD CONSTRAINT "plan_subscription_charging_purchase_id_fkey" FOREIGN KEY ("charging_purchase_id")
    REFERENCES "purchase" ("id") ON DELETE NO ACTION ON UPDATE NO ACTION,
  ADD CONSTRAINT "plan_subscription_price" CHECK (("price_minor" IS NULL) = ("price_currency" IS NULL)
    AND ("price_minor" IS NULL OR "price_minor" > 0) AND ("price_minor" IS NOT NULL OR "paid_by" = ARRAY[]::UUID[])
    AND "paid_by" IS NOT NULL),
  ADD CONSTRAINT "plan_subscription_payment" CHECK (("grace_ends_at" IS NOT NULL) = ("payment_due_since" IS NOT NULL)
    AND "failed_attempts" >= 0
    AND ("payment_due_since" IS NOT NULL
      OR ("failed_attempts" = 0 AND "next_attempt_at" IS NULL AND "charging_purchase_id" IS NULL))
    AND ("charging_purchase_id" IS NULL OR "next_attempt_at" IS NULL)
    AND ("payment_due_since" IS NULL OR "status" <> 'CANCELED'));

-- Subscriptions to plans with a price renew while nobody is there: their wallets are settled when a charge is due. What the
-- catalog costs is known when the wallet is next touched, and that is now for all there are.
UPDATE "wallet" SET "next_charge_at" = least(s."current_period_end", CASE WHEN s."status" = 'TRIALING' THEN s."trial_ends_at" END)
FROM "plan_subscription" s
WHERE s."organization_id" = "wallet"."organization_id" AND s."status" IN ('ACTIVE', 'TRIALING')
  AND NOT s."cancel_at_period_end";
