-- Jobs over the API: changes that are told, jobs that are put away, lists by state, clips that must be new ones.

-- What readers keep of a job (answers, open streams) hears of each change. The signal carries no truth: whoever hears it reads the row.
-- A creation tells nobody, for nobody can be waiting for a job without a number: notifying commits go one after the other.
CREATE FUNCTION job_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('spool_jobs', NEW.id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER job_changed AFTER UPDATE OF version ON jobs FOR EACH ROW
    WHEN (NEW.version <> OLD.version) EXECUTE FUNCTION job_changed();

-- Put away: nobody sees it any more, but its money, its purchases and what they made are kept.
ALTER TABLE jobs
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN deleted_by text,
    ADD CONSTRAINT jobs_deleted CHECK (deleted_at IS NULL OR state IN ('completed', 'failed', 'canceled'));
CREATE INDEX jobs_by_state ON jobs (state, inserted_at DESC, id DESC);

-- Somebody asked for another clip: the stored output of an equal order will not do.
ALTER TABLE scenes ADD COLUMN fresh boolean NOT NULL DEFAULT false;
