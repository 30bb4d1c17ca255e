-- migrate:up

-- Of the keys in in_flight, in their order: prints of their values from before they were sent.
-- Begins with the sha256 of in_flight: beside another they say nothing.
ALTER TABLE steps ADD COLUMN prints bytea;
ALTER TABLE steps ALTER COLUMN prints SET STORAGE EXTERNAL;

-- migrate:down
