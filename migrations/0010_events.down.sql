ALTER TABLE scenes DROP COLUMN fresh;
DROP INDEX jobs_by_state;
ALTER TABLE jobs DROP CONSTRAINT jobs_deleted, DROP COLUMN deleted_by, DROP COLUMN deleted_at;
DROP TRIGGER job_changed ON jobs;
DROP FUNCTION job_changed();
