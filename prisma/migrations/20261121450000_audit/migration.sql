-- How far the self-audit has come with each wallet. A table of its own, without a foreign key: checking a wallet neither writes
-- its row nor waits for whoever charges it.
CREATE TABLE "wallet_check" (
  "wallet_id" UUID NOT NULL,
  -- The hash chain has been walked up to this entry, which left this balance and this hash.
  "sequence" BIGINT NOT NULL DEFAULT 0,
  "balance_micros" BIGINT NOT NULL DEFAULT 0,
  "hash" BYTEA NOT NULL DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000',
  -- When all of its history was last asked about; before all time where it is to be next.
  "swept_at" TIMESTAMPTZ(3) NOT NULL DEFAULT '-infinity',
  CONSTRAINT "wallet_check_pkey" PRIMARY KEY ("wallet_id"),
  CONSTRAINT "wallet_check_position" CHECK ("sequence" >= 0 AND octet_length("hash") = 32)
);
CREATE INDEX "wallet_check_swept_at_idx" ON "wallet_check" ("swept_at");
