-- What was brought over from the older systems: every row that was read, where it went, and what has no column here.

CREATE TABLE imports (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Which file it was, in the operator's words: two files of one system are two sources.
    source      text NOT NULL CHECK (source ~ '^[a-z0-9_-]{1,64}$'),
    system      text NOT NULL CHECK (system IN ('scenes', 'elixir')),
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    report      jsonb,
    CHECK ((finished_at IS NULL) = (report IS NULL))
);

CREATE TABLE imported_rows (
    source     text NOT NULL,
    table_name text NOT NULL,
    row_id     text NOT NULL,
    -- The run that brought it.
    import_id  bigint NOT NULL REFERENCES imports (id),
    -- SHA-256 of the row as it was read, of media only their length: what they were is in imported_media.
    checksum   text NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),
    -- `carried` has a row of ours, `beside` is only here, `waiting` lacks bytes that a later run may find.
    state      text NOT NULL CHECK (state IN ('carried', 'beside', 'waiting')),
    -- Table and id of ours.
    target     text,
    target_id  text,
    why        text,
    -- The columns that have no place in our row, as they were.
    document   jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(document) = 'object'),
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, table_name, row_id),
    CHECK ((target IS NULL) = (target_id IS NULL) AND (target IS NULL) = (state <> 'carried')),
    CHECK (why IS NOT NULL OR state = 'carried')
);
CREATE INDEX imported_rows_by_target ON imported_rows (target, target_id);

-- Which bytes each column of each of them named: for checks, and so that nothing takes them for garbage.
CREATE TABLE imported_media (
    source      text NOT NULL,
    table_name  text NOT NULL,
    row_id      text NOT NULL,
    column_name text NOT NULL,
    digest      text NOT NULL REFERENCES media (digest),
    PRIMARY KEY (source, table_name, row_id, column_name),
    FOREIGN KEY (source, table_name, row_id) REFERENCES imported_rows (source, table_name, row_id) ON DELETE CASCADE
);
CREATE INDEX imported_media_by_digest ON imported_media (digest);

-- One prompt and no photos: what the older systems made before there were campaigns.
ALTER TABLE jobs DROP CONSTRAINT jobs_type_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_type_check CHECK (type IN ('image_pairs', 'property_photos', 'prompt'));

-- A wish in free words and what a language model made of it.
CREATE TABLE briefs (
    id                 uuid PRIMARY KEY,
    prompt             text,
    image_url          text,
    video_url          text,
    image_digest       text REFERENCES media (digest),
    video_digest       text REFERENCES media (digest),
    creative_direction jsonb NOT NULL,
    scenes             jsonb NOT NULL,
    confidence_score   double precision,
    inserted_at        timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now()
);
