-- Purchases beyond their payment: disputes, refunds, receipts.

-- What was bought in words, as the buyer read it. Which disputes of a payment wait for their verdict and which have one; since when its money is being given back.
ALTER TABLE "purchase"
  ADD COLUMN "description" TEXT NOT NULL DEFAULT 'Credits',
  ADD COLUMN "open_disputes" TEXT[] DEFAULT ARRAY[]::TEXT[],
  ADD COLUMN "closed_disputes" TEXT[] DEFAULT ARRAY[]::TEXT[],
  ADD COLUMN "refund_requested_at" TIMESTAMPTZ(3),
  ADD CONSTRAINT "purchase_disputed" CHECK ("open_disputes" IS NOT NULL AND "closed_disputes" IS NOT NULL
    AND ("status" <> 'DISPUTED' OR "open_disputes" <> ARRAY[]::TEXT[])),
  ADD CONSTRAINT "purchase_refunding" CHECK ("refund_requested_at" IS NULL OR "status" IN ('PAID', 'DISPUTED'));

-- What was taken back is not in force; what comes back to it does not stay.
ALTER TABLE "lot"
  ADD COLUMN "revoked" BOOLEAN NOT NULL DEFAULT false,
  ADD CONSTRAINT "lot_revoked" CHECK (NOT "revoked" OR NOT ("in_force" OR "frozen"));

-- Receipts are numbered without gaps per issuer, in the transaction that makes a purchase paid: whoever takes the next
-- number holds its counter's row until then.
CREATE TABLE "receipt_counter" (
  "issuer" TEXT NOT NULL,
  "last_number" BIGINT NOT NULL,
  CONSTRAINT "receipt_counter_pkey" PRIMARY KEY ("issuer"),
  CONSTRAINT "receipt_counter_number" CHECK ("last_number" > 0)
);

ALTER TABLE "purchase"
  ADD COLUMN "receipt_issuer" TEXT,
  ADD COLUMN "receipt_sequence" BIGINT,
  ADD COLUMN "receipt_token" TEXT NOT NULL
    DEFAULT replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');

UPDATE "purchase" p SET "receipt_issuer" = 'R', "receipt_sequence" = numbered."number"
FROM (SELECT "id", row_number() OVER (ORDER BY "paid_at", "id") AS "number" FROM "purchase"
  WHERE "paid_at" IS NOT NULL) numbered
WHERE p."id" = numbered."id";
INSERT INTO "receipt_counter" ("issuer", "last_number")
SELECT "receipt_issuer", max("receipt_sequence") FROM "purchase" WHERE "receipt_issuer" IS NOT NULL
GROUP BY "receipt_issuer";

ALTER TABLE "purchase"
  ADD CONSTRAINT "purchase_receipt" CHECK (("receipt_issuer" IS NOT NULL) = ("paid_at" IS NOT NULL)
    AND ("receipt_sequence" IS NOT NULL) = ("paid_at" IS NOT NULL));
CREATE UNIQUE INDEX "purchase_receipt_issuer_receipt_sequence_key" ON "purchase" ("receipt_issuer", "receipt_sequence");
CREATE UNIQUE INDEX "purchase_receipt_token_key" ON "purchase" ("receipt_token");

-- What happened at the sandbox provider to a payment after it was made: each with the event that tells of it.
ALTER TABLE "sandbox_checkout"
  ADD COLUMN "refund_event_id" TEXT,
  ADD COLUMN "dispute_event_id" TEXT,
  ADD COLUMN "verdict" TEXT,
  ADD COLUMN "verdict_event_id" TEXT;
