-- Invitations by a token that only its hash is kept of, and members who leave: their row stays, so that what they did keeps
-- its place. Who left may be invited and become a member again.

ALTER TABLE "membership"
  ADD COLUMN "invitation_token_hash" BYTEA,
  ADD COLUMN "invitation_expires_at" TIMESTAMPTZ(3),
  ADD COLUMN "removed_at" TIMESTAMPTZ(3);

-- Nobody can accept an invitation that has no token.
UPDATE "membership" SET "removed_at" = now() WHERE "status" = 'INVITED';

ALTER TABLE "membership"
  ADD CONSTRAINT "membership_invited" CHECK ("status" <> 'INVITED' OR "removed_at" IS NOT NULL OR ("user_id" IS NULL
    AND "invitation_token_hash" IS NOT NULL AND "invitation_expires_at" IS NOT NULL)),
  ADD CONSTRAINT "membership_active" CHECK ("status" <> 'ACTIVE' OR "user_id" IS NOT NULL);

CREATE UNIQUE INDEX "membership_invitation_token_hash_key" ON "membership" ("invitation_token_hash");

DROP INDEX "membership_organization_id_user_id_key";
CREATE UNIQUE INDEX "membership_member" ON "membership" ("organization_id", "user_id") WHERE "removed_at" IS NULL;

DROP INDEX "membership_invitation";
CREATE UNIQUE INDEX "membership_invitation" ON "membership" ("organization_id", lower("invited_email"))
  WHERE "status" = 'INVITED' AND "removed_at" IS NULL;
