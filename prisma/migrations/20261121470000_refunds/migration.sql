-- A refund names what it gives back, and nothing else does: what is refundable of a charge is what no refund names.
-- Rows of before are not read for it, which would stop posting meanwhile and, where one is damaged, the gateway: they are the
-- audit's to name.
ALTER TABLE "ledger_transaction"
  ADD CONSTRAINT "ledger_transaction_refund" CHECK (("kind" = 'REFUND') = ("refunded_id" IS NOT NULL)) NOT VALID;
