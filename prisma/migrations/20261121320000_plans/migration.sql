-- Plans: what may be carried over, and the ends of billing periods and trials among a wallet's transitions.

ALTER TABLE "allowance"
  ADD COLUMN "rollover_limit_micros" BIGINT,
  ADD CONSTRAINT "allowance_rollover" CHECK ("rollover_limit_micros" > 0);

ALTER TABLE "plan_subscription"
  ADD CONSTRAINT "plan_subscription_period" CHECK ("current_period_end" > "current_period_start"
    AND "anchor_day" BETWEEN 1 AND 31),
  ADD CONSTRAINT "plan_subscription_follower" CHECK ("scheduled_plan_key" IS NULL
    OR ("status" <> 'CANCELED' AND NOT "cancel_at_period_end"));

-- What allowances have granted for periods that still run; selecting a plan asks for it.
CREATE INDEX "lot_granted" ON "lot" ("wallet_id", "expires_at") WHERE "source" IN ('PLAN_GRANT', 'ALLOWANCE');

UPDATE "wallet" w
SET "next_transition_at" = least(w."next_transition_at", s."current_period_end",
  CASE WHEN s."status" = 'TRIALING' THEN s."trial_ends_at" END)
FROM "plan_subscription" s
WHERE s."organization_id" = w."organization_id"
  AND (s."status" IN ('TRIALING', 'ACTIVE') OR (s."status" = 'PAST_DUE' AND s."cancel_at_period_end"));
