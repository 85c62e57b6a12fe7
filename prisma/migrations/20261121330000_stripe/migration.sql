-- Organizations as payment providers know them: one customer each at a provider, whose payments stand together there.

CREATE TABLE "payment_customer" (
  "organization_id" UUID NOT NULL,
  "provider" TEXT NOT NULL,
  "reference" TEXT NOT NULL,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "payment_customer_pkey" PRIMARY KEY ("organization_id", "provider"),
  CONSTRAINT "payment_customer_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization" ("id")
    ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "payment_customer_provider_reference_key" ON "payment_customer" ("provider", "reference");
