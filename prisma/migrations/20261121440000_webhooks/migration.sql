-- Webhooks: where organizations want to be told of what happens, how far each has been told, and what is told. The events
-- themselves are rows that the books write in the transaction of their cause; a cursor says up to which number of them
-- deliveries were written.
CREATE TYPE "WebhookDeliveryStatus" AS ENUM ('PENDING', 'DELIVERED', 'FAILED');

CREATE TABLE "webhook_endpoint" (
  "id" UUID NOT NULL,
  "organization_id" UUID NOT NULL,
  "url" TEXT NOT NULL,
  "events" TEXT[],
  "enabled" BOOLEAN NOT NULL DEFAULT true,
  "secret" BYTEA NOT NULL,
  "previous_secret" BYTEA,
  "previous_secret_until" TIMESTAMPTZ(3),
  "failed_in_row" INTEGER NOT NULL DEFAULT 0,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "deleted_at" TIMESTAMPTZ(3),
  CONSTRAINT "webhook_endpoint_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "webhook_endpoint_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "webhook_endpoint_url" CHECK (char_length("url") BETWEEN 1 AND 2048),
  CONSTRAINT "webhook_endpoint_events" CHECK (cardinality("events") > 0),
  CONSTRAINT "webhook_endpoint_previous_secret" CHECK (num_nonnulls("previous_secret", "previous_secret_until") <> 1),
  CONSTRAINT "webhook_endpoint_failed_in_row" CHECK ("failed_in_row" >= 0)
);
CREATE INDEX "webhook_endpoint_organization_id_created_at_id_idx"
  ON "webhook_endpoint" ("organization_id", "created_at", "id");

CREATE TABLE "webhook_cursor" (
  "endpoint_id" UUID NOT NULL,
  "event" TEXT NOT NULL,
  "position" BIGINT NOT NULL,
  "moved_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "webhook_cursor_pkey" PRIMARY KEY ("endpoint_id", "event"),
  CONSTRAINT "webhook_cursor_endpoint_id_fkey" FOREIGN KEY ("endpoint_id") REFERENCES "webhook_endpoint"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "webhook_cursor_position" CHECK ("position" >= 0)
);

CREATE TABLE "webhook_delivery" (
  "id" UUID NOT NULL,
  "endpoint_id" UUID NOT NULL,
  "organization_id" UUID NOT NULL,
  "event_id" TEXT NOT NULL,
  "event" TEXT NOT NULL,
  "payload" TEXT NOT NULL,
  "status" "WebhookDeliveryStatus" NOT NULL DEFAULT 'PENDING',
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "retries" INTEGER NOT NULL DEFAULT 0,
  "response_status" INTEGER,
  "next_attempt_at" TIMESTAMPTZ(3),
  "leased_until" TIMESTAMPTZ(3),
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "delivered_at" TIMESTAMPTZ(3),
  CONSTRAINT "webhook_delivery_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "webhook_delivery_endpoint_id_fkey" FOREIGN KEY ("endpoint_id") REFERENCES "webhook_endpoint"("id")
    ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT "webhook_delivery_attempts" CHECK ("retries" BETWEEN 0 AND "attempts"),
  CONSTRAINT "webhook_delivery_pending" CHECK (("status" = 'PENDING') = ("next_attempt_at" IS NOT NULL)),
  CONSTRAINT "webhook_delivery_delivered" CHECK (("status" = 'DELIVERED') = ("delivered_at" IS NOT NULL)),
  CONSTRAINT "webhook_delivery_leased" CHECK ("leased_until" IS NULL OR "status" = 'PENDING')
);
-- An event is told to an endpoint once, whoever writes its delivery.
CREATE UNIQUE INDEX "webhook_delivery_endpoint_id_event_id_key" ON "webhook_delivery" ("endpoint_id", "event_id");
CREATE INDEX "webhook_delivery_endpoint_id_created_at_id_idx" ON "webhook_delivery" ("endpoint_id", "created_at", "id");
-- What waits, by when it is due; what is under way.
CREATE INDEX "webhook_delivery_due" ON "webhook_delivery" ("endpoint_id", "next_attempt_at", "id")
  WHERE "status" = 'PENDING';
CREATE INDEX "webhook_delivery_leased_until" ON "webhook_delivery" ("endpoint_id", "leased_until")
  WHERE "leased_until" IS NOT NULL;
