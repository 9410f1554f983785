DROP TABLE briefs;
ALTER TABLE jobs DROP CONSTRAINT jobs_type_check;
-- Rows of the kind that goes stay as they are; only new ones are checked.
ALTER TABLE jobs ADD CONSTRAINT jobs_type_check CHECK (type IN ('image_pairs', 'property_photos')) NOT VALID;
DROP TABLE imported_media;
DROP TABLE imported_rows;
DROP TABLE imports;
