-- Cards of the sandbox provider, and when a payment provider is asked again for what it may not have told.

-- The card that an organization has left with the sandbox; without a row it is one that pays.
CREATE TABLE "sandbox_card" (
  "organization_id" UUID NOT NULL,
  "card" TEXT NOT NULL,
  "changed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "sandbox_card_pkey" PRIMARY KEY ("organization_id"),
  CONSTRAINT "sandbox_card_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "sandbox_card_card" CHECK ("card" IN ('success', 'declined', 'declined_later', 'requires_action', 'delayed'))
);

-- The card that was used, null before one was and where the payer named none. An open payment is neither paid nor declined
-- while its payer has to confirm it or its money is under way.
ALTER TABLE "sandbox_checkout"
  ADD COLUMN "card" TEXT,
  ADD COLUMN "stage" TEXT NOT NULL DEFAULT 'OPEN',
  ADD COLUMN "off_session" BOOLEAN NOT NULL DEFAULT false,
  ADD CONSTRAINT "sandbox_checkout_stage" CHECK ("stage" IN ('OPEN', 'CONFIRMING', 'UNDER_WAY')
    AND ("stage" = 'OPEN' OR "card" IS NOT NULL)),
  ADD CONSTRAINT "sandbox_checkout_off_session" CHECK (NOT "off_session" OR "card" IS NOT NULL);

-- By the real clock, whatever the organization's says: when to ask the provider about a payment next, and how often it was
-- asked since the purchase last changed.
ALTER TABLE "purchase"
  ADD COLUMN "check_at" TIMESTAMPTZ(3) NOT NULL DEFAULT (clock_timestamp() + interval '5 seconds'),
  ADD COLUMN "checks" INTEGER NOT NULL DEFAULT 0,
  ADD CONSTRAINT "purchase_checks" CHECK ("checks" >= 0);
CREATE INDEX "purchase_to_check" ON "purchase" ("provider", "check_at")
  WHERE ("status" = 'PENDING' AND "provider_reference" IS NOT NULL)
    OR ("status" = 'PAID' AND "refund_requested_at" IS NOT NULL);
