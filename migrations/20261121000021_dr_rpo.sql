-- migrate:up

-- How far each shard was behind at most, in every ten minutes of the last day and an hour. dr writes it with
-- its rows: the age of the newest durable heartbeat just before a newer one takes its place. While dr is away
-- nothing is written, and the first row after it has the whole time in which nothing was durable.
CREATE TABLE dr_rpo (
    shard_id text NOT NULL,
    at       timestamptz NOT NULL, -- the ten minutes begin
    worst_ms bigint NOT NULL CHECK (worst_ms >= 0),
    PRIMARY KEY (shard_id, at)
);
CREATE INDEX dr_rpo_at ON dr_rpo (at); -- what is to be thrown away
GRANT SELECT ON dr_rpo TO prism_dr, prism_metadata_api;
GRANT INSERT, UPDATE, DELETE ON dr_rpo TO prism_dr;

-- migrate:down
