-- What watchers are shown: figures that one process works out for all, how much is stored, and when jobs were parked.

-- Samples for /metrics. Whoever is asked and finds them old works them out anew and leaves them here for the others. Worth nothing after a
-- crash, so nothing is spent on keeping them through one; a row that is missing is made again.
CREATE UNLOGGED TABLE figures (
    -- `quick` ones are seconds old at most, `thorough` ones a minute.
    part    text             PRIMARY KEY CHECK (part IN ('quick', 'thorough')),
    at      timestamptz      NOT NULL DEFAULT '-infinity',
    -- How long it took.
    cost_ms double precision NOT NULL DEFAULT 0,
    body    jsonb            NOT NULL DEFAULT '[]'
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- How much lies in the media store. A sum over all media would cost more with each video, and one row that every writer updates would make
-- them wait for each other: so each change is noted, and whoever reads the sum first adds what was noted.
CREATE TABLE media_totals (
    type  text   PRIMARY KEY CHECK (type IN ('video', 'audio', 'image', 'other')),
    files bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0
);
CREATE TABLE media_changes (
    type  text    NOT NULL,
    files integer NOT NULL,
    bytes bigint  NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE FUNCTION media_type(p_content_type text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN split_part(p_content_type, '/', 1) IN ('video', 'audio', 'image') THEN split_part(p_content_type, '/', 1) ELSE 'other' END
$$;
INSERT INTO media_totals (type, files, bytes)
SELECT t.type, count(m.digest), coalesce(sum(m.bytes), 0)
FROM unnest(ARRAY['video', 'audio', 'image', 'other']) t (type) LEFT JOIN media m ON media_type(m.content_type) = t.type GROUP BY t.type;
CREATE FUNCTION media_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO media_changes (type, files, bytes) VALUES (media_type(NEW.content_type), 1, NEW.bytes);
    ELSE
        INSERT INTO media_changes (type, files, bytes) VALUES (media_type(OLD.content_type), -1, -OLD.bytes);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER media_changed AFTER INSERT OR DELETE ON media FOR EACH ROW EXECUTE FUNCTION media_changed();

-- When a job stood still because of money, a provider or a pause: that time is not ours.
ALTER TABLE jobs
    ADD COLUMN parked_since timestamptz,
    ADD COLUMN parked_spans tstzmultirange NOT NULL DEFAULT '{}';
UPDATE jobs SET parked_since = now() WHERE parked IS NOT NULL;
CREATE FUNCTION job_parks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.parked IS NULL THEN
        -- now() is the start of this transaction, which may be older than the one that parked it.
        NEW.parked_spans := OLD.parked_spans + tstzmultirange(tstzrange(coalesce(OLD.parked_since, now()), greatest(OLD.parked_since, now())));
        NEW.parked_since := NULL;
    ELSE
        NEW.parked_since := now();
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER job_parks BEFORE UPDATE OF parked ON jobs FOR EACH ROW
    WHEN ((OLD.parked IS NULL) <> (NEW.parked IS NULL)) EXECUTE FUNCTION job_parks();
