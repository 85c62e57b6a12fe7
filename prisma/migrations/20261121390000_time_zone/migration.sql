-- Organizations change their time zone. `time_zone` stays what it was before all changes, so that every window can still be
-- cut as it was; each change says from when on which zone is in force, earliest first.
ALTER TABLE "organization"
  ADD COLUMN "time_zone_changes" JSONB NOT NULL DEFAULT '[]',
  ADD COLUMN "time_zone_changed_at" TIMESTAMPTZ(3),
  ADD CONSTRAINT "organization_time_zone_changes" CHECK (jsonb_typeof("time_zone_changes") = 'array'
    AND NOT jsonb_path_exists("time_zone_changes",
      'lax $[*] ? (!(@.timeZone.type() == "string" && @.from.type() == "number"))')
    AND ("time_zone_changed_at" IS NULL) = ("time_zone_changes" = '[]'));
