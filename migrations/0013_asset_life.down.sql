DROP TABLE video_metrics;
ALTER TABLE media DROP COLUMN picture_digest;
DROP INDEX scenes_by_last_asset, scenes_by_first_asset;
-- What was taken away is gone without the column that says so.
DELETE FROM assets WHERE deleted_at IS NOT NULL;
ALTER TABLE assets DROP COLUMN deleted_at;
