-- Spend limits: how many credits an organization, one of its projects, members or keys may spend an hour, day or month.
-- They are written under the wallet's lock, so that the next charge meets them; `spend_counter` counts by their ids.
CREATE TYPE "SpendLimitScope" AS ENUM ('ORGANIZATION', 'PROJECT', 'USER', 'API_KEY');
CREATE TYPE "LimitWindow" AS ENUM ('HOUR', 'DAY', 'MONTH');

CREATE TABLE "spend_limit" (
  "id" UUID NOT NULL,
  "wallet_id" UUID NOT NULL,
  "scope" "SpendLimitScope" NOT NULL,
  "project_id" UUID,
  "user_id" TEXT,
  "api_key_id" UUID,
  "per" "LimitWindow" NOT NULL,
  "credits_micros" BIGINT NOT NULL,
  "created_at" TIMESTAMPTZ(3) NOT NULL,
  "removed_at" TIMESTAMPTZ(3),
  CONSTRAINT "spend_limit_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "spend_limit_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "spend_limit_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id")
    ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT "spend_limit_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "user_account"("id")
    ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT "spend_limit_api_key_id_fkey" FOREIGN KEY ("api_key_id") REFERENCES "api_key"("id")
    ON DELETE SET NULL ON UPDATE CASCADE,
  -- It names whom its scope asks for, and nobody else.
  CONSTRAINT "spend_limit_target" CHECK (
    ("scope" = 'PROJECT') = ("project_id" IS NOT NULL)
    AND ("scope" = 'USER') = ("user_id" IS NOT NULL)
    AND ("scope" = 'API_KEY') = ("api_key_id" IS NOT NULL)),
  CONSTRAINT "spend_limit_credits" CHECK ("credits_micros" >= 0)
);
-- One for each target and window; it also finds those of a wallet.
CREATE UNIQUE INDEX "spend_limit_live" ON "spend_limit" ("wallet_id", "scope", "per",
  (coalesce("project_id"::text, "user_id", "api_key_id"::text, ''))) WHERE "removed_at" IS NULL;
