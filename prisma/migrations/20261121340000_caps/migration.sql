-- Frequency caps: operations counted per meter and window, and what open holds have reserved of them.

CREATE TABLE "operation_counter" (
  "wallet_id" UUID NOT NULL,
  "key" TEXT NOT NULL,
  "per" TEXT NOT NULL,
  "window_start" TIMESTAMPTZ(3) NOT NULL,
  "operations" BIGINT NOT NULL,
  CONSTRAINT "operation_counter_pkey" PRIMARY KEY ("wallet_id", "key", "per"),
  CONSTRAINT "operation_counter_per" CHECK ("per" IN ('HOUR', 'DAY', 'MONTH')),
  CONSTRAINT "operation_counter_operations" CHECK ("operations" >= 0)
);

ALTER TABLE "hold"
  ADD COLUMN "operations" JSONB NOT NULL DEFAULT '[]',
  ADD CONSTRAINT "hold_operations" CHECK ("status" = 'OPEN' OR "operations" = '[]');
