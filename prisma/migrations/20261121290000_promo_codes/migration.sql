-- Promo codes: one row per code that a catalog ever had, the lock under which its redemptions are counted.

CREATE TABLE "promo_code" (
  "code" TEXT NOT NULL,
  "redemptions" INTEGER NOT NULL DEFAULT 0,
  CONSTRAINT "promo_code_pkey" PRIMARY KEY ("code"),
  CONSTRAINT "promo_code_redemptions" CHECK ("redemptions" >= 0)
);

-- No foreign keys: like the books, it is written by the posting engine alone, under the locks of wallet and code.
CREATE TABLE "promo_redemption" (
  "transaction_id" UUID NOT NULL,
  "code" TEXT NOT NULL,
  "organization_id" UUID NOT NULL,
  "redeemed_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "promo_redemption_pkey" PRIMARY KEY ("transaction_id")
);
CREATE INDEX "promo_redemption_organization_id_code_idx" ON "promo_redemption" ("organization_id", "code");

CREATE TRIGGER "promo_redemption_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "promo_redemption"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
