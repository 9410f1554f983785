-- Assets that are taken away, pictures of clips, and how videos did with their audience.

-- Since when callers no longer see it. The row stays: scenes of jobs that have ended may be made again from it.
ALTER TABLE assets ADD COLUMN deleted_at timestamptz;
-- Which scenes use an asset.
CREATE INDEX scenes_by_first_asset ON scenes (first_asset_id);
CREATE INDEX scenes_by_last_asset ON scenes (last_asset_id) WHERE last_asset_id IS NOT NULL;

-- A small JPEG of a film, made when it is first asked for.
ALTER TABLE media ADD COLUMN picture_digest text REFERENCES media (digest);

CREATE TABLE video_metrics (
    job_id      bigint PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    views       bigint CHECK (views >= 0),
    clicks      bigint CHECK (clicks >= 0),
    -- Clicks by views as the caller reckons it, 0 to 1.
    ctr         double precision CHECK (ctr BETWEEN 0 AND 1),
    conversions bigint CHECK (conversions >= 0),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
