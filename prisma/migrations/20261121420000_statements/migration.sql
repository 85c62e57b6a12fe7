-- Statements: one per wallet and closed month. The text that is hashed is kept as it is; the columns beside it are what is
-- checked. A month is a range of sequences, and each statement follows the one before.
CREATE TABLE "statement" (
  "wallet_id" UUID NOT NULL,
  "month" TEXT NOT NULL,
  "starts_at" TIMESTAMPTZ(3) NOT NULL,
  "ends_at" TIMESTAMPTZ(3) NOT NULL,
  "opening_micros" BIGINT NOT NULL,
  "credited_micros" BIGINT NOT NULL,
  "debited_micros" BIGINT NOT NULL,
  "closing_micros" BIGINT NOT NULL,
  "opening_sequence" BIGINT NOT NULL,
  "closing_sequence" BIGINT NOT NULL,
  "content" TEXT NOT NULL,
  "hash" BYTEA NOT NULL,
  "closed_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "statement_pkey" PRIMARY KEY ("wallet_id", "month"),
  CONSTRAINT "statement_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "statement_month" CHECK ("month" ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
  CONSTRAINT "statement_period" CHECK ("starts_at" < "ends_at" AND "ends_at" <= "closed_at"),
  CONSTRAINT "statement_equation" CHECK ("credited_micros" >= 0 AND "debited_micros" >= 0
    AND "opening_micros" + "credited_micros" - "debited_micros" = "closing_micros"),
  CONSTRAINT "statement_sequences" CHECK (0 <= "opening_sequence" AND "opening_sequence" <= "closing_sequence"
    AND ("opening_sequence" < "closing_sequence" OR ("credited_micros" = 0 AND "debited_micros" = 0))),
  CONSTRAINT "statement_hash" CHECK ("hash" = sha256(convert_to("content", 'UTF8')))
);
-- No month is put between two that follow one another.
CREATE UNIQUE INDEX "statement_wallet_id_starts_at_key" ON "statement" ("wallet_id", "starts_at");

-- What the entries of a month add up to so far, so that nobody adds up a long month twice. `lines` are reasons in each
-- direction; entries beyond `through_sequence` are not in them.
CREATE TABLE "statement_draft" (
  "wallet_id" UUID NOT NULL,
  "month" TEXT NOT NULL,
  "through_sequence" BIGINT NOT NULL,
  "lines" JSONB NOT NULL,
  CONSTRAINT "statement_draft_pkey" PRIMARY KEY ("wallet_id", "month"),
  CONSTRAINT "statement_draft_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallet" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE
);

-- Usage that occurred in another month than it was posted in: rollups go by the one, statements by the other. Added to
-- the rollups of a month, it makes them those of what was posted: negative where usage occurred, positive where it was
-- posted. Like the rollups it is written with batches, only by the posting engine, and has no foreign key.
CREATE TABLE "carried_usage" (
  "wallet_id" UUID NOT NULL,
  "starts_at" TIMESTAMPTZ(3) NOT NULL,
  "meter" TEXT NOT NULL,
  "model" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "project_id" TEXT NOT NULL,
  "quantity" DECIMAL NOT NULL,
  "credits_micros" BIGINT NOT NULL,
  "events" BIGINT NOT NULL,
  CONSTRAINT "carried_usage_pkey" PRIMARY KEY ("wallet_id", "starts_at", "meter", "model", "user_id", "project_id")
);

-- What was posted before this migration. Carried within a month it changes nothing of the month.
INSERT INTO "carried_usage" ("wallet_id", "starts_at", "meter", "model", "user_id", "project_id", "quantity",
  "credits_micros", "events")
SELECT c."wallet_id", date_bin('15 minutes', c."at", '2000-01-01 00:00Z'), c."meter", c."model", c."user_id",
  c."project_id", sum(c."sign" * c."quantity"), sum(c."sign" * c."credits"), sum(c."sign")
FROM (
  SELECT t."wallet_id", moved."at", moved."sign", coalesce(t."user_id", '') AS "user_id",
    coalesce(t."project_id"::text, '') AS "project_id", line ->> 'meter' AS "meter",
    coalesce(line -> 'dimensions' ->> 'model', '') AS "model", (line ->> 'quantity')::numeric AS "quantity",
    (line ->> 'credits')::bigint AS "credits"
  FROM "ledger_transaction" t
  CROSS JOIN LATERAL (VALUES (t."effective_at", 1), (t."occurred_at", -1)) AS moved ("at", "sign")
  CROSS JOIN LATERAL jsonb_array_elements(CASE t."lines" WHEN '[]' THEN
    jsonb_build_array(jsonb_build_object('meter', '', 'quantity', '0', 'credits', (-t."amount_micros")::text))
    ELSE t."lines" END) AS line
  WHERE t."kind" IN ('DEBIT', 'CAPTURE') AND t."occurred_at" IS NOT NULL
) c
GROUP BY 1, 2, 3, 4, 5, 6;

-- When the next month can be closed, in the organization's time; a wallet is looked at as soon as it is made.
ALTER TABLE "wallet" ADD COLUMN "next_close_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;
CREATE INDEX "wallet_next_close" ON "wallet" ("next_close_at") WHERE "frozen_at" IS NULL;

CREATE FUNCTION "check_statement"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  previous "statement"%ROWTYPE;
  newest record;
BEGIN
  SELECT * INTO previous FROM "statement"
  WHERE "wallet_id" = NEW."wallet_id" AND "month" < NEW."month" ORDER BY "month" DESC LIMIT 1;
  IF FOUND AND (previous."ends_at", previous."closing_micros", previous."closing_sequence")
      IS DISTINCT FROM (NEW."starts_at", NEW."opening_micros", NEW."opening_sequence") THEN
    RAISE EXCEPTION 'the statement of % does not follow the one of %', NEW."month", previous."month"
      USING ERRCODE = 'P0402';
  END IF;
  IF NOT FOUND AND (NEW."opening_micros", NEW."opening_sequence") <> (0, 0) THEN
    RAISE EXCEPTION 'the first statement of a wallet, of %, does not open with nothing', NEW."month"
      USING ERRCODE = 'P0402';
  END IF;
  SELECT "sequence", "balance_after_micros" INTO newest FROM "ledger_entry"
  WHERE "wallet_id" = NEW."wallet_id" AND "effective_at" < NEW."ends_at"
  ORDER BY "effective_at" DESC, "sequence" DESC LIMIT 1;
  IF (coalesce(newest."sequence", 0), coalesce(newest."balance_after_micros", 0))
      <> (NEW."closing_sequence", NEW."closing_micros") THEN
    RAISE EXCEPTION 'the statement of % does not close with the ledger', NEW."month" USING ERRCODE = 'P0402';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER "statement_chain" AFTER INSERT ON "statement" FOR EACH ROW EXECUTE FUNCTION "check_statement"();
CREATE TRIGGER "statement_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "statement"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
