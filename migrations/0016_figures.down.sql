DROP TRIGGER job_parks ON jobs;
DROP FUNCTION job_parks();
ALTER TABLE jobs DROP COLUMN parked_since, DROP COLUMN parked_spans;
DROP TRIGGER media_changed ON media;
DROP FUNCTION media_changed();
DROP TABLE media_changes, media_totals, figures;
DROP FUNCTION media_type(text);
