-- migrate:up

DO $$
BEGIN
    CREATE ROLE prism_dr;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

-- What every service may.
GRANT USAGE ON SCHEMA public TO prism_dr;
GRANT USAGE ON SEQUENCE revisions TO prism_dr;
GRANT SELECT, INSERT, UPDATE ON leases TO prism_dr;
GRANT SELECT, INSERT, UPDATE (published_at), DELETE ON outbox TO prism_dr;
GRANT SELECT, INSERT, DELETE ON processed TO prism_dr;
GRANT INSERT ON audit TO prism_dr;
DO $$
BEGIN
    IF to_regclass('schema_migrations') IS NOT NULL THEN
        GRANT SELECT ON schema_migrations TO prism_dr;
    END IF;
END $$;

GRANT SELECT ON store, zones, placement_groups, nodes, shards, slots, partitions TO prism_dr;

-- Every turn at leading a group has an epoch of its own; it is in the name of every object.
CREATE SEQUENCE dr_epochs;
GRANT USAGE, UPDATE ON SEQUENCE dr_epochs TO prism_dr;

-- Who writes which containers. Rows may be a second old: the bucket is the truth.
CREATE TABLE dr_groups (
    id         text PRIMARY KEY,
    groups     int NOT NULL,    -- that its leader divides shards into
    epoch      bigint NOT NULL,
    seq        bigint NOT NULL, -- last container that is durable; -1: none in this epoch
    holder     text NOT NULL,
    error      text NOT NULL DEFAULT '', -- what the bucket says, while it takes nothing
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE dr_shards (
    shard_id         text PRIMARY KEY,
    group_id         text NOT NULL,
    generation_epoch bigint NOT NULL, -- 0: there is no base yet
    generation_n     int NOT NULL,
    replid           text NOT NULL,
    durable_offset   bigint NOT NULL,
    chain            bytea NOT NULL,
    durable_at       timestamptz,
    beat_at          timestamptz,     -- of the newest heartbeat that is durable
    since            timestamptz NOT NULL, -- it streams, or has ceased to
    seen_offset      bigint NOT NULL,
    spool_bytes      bigint NOT NULL,
    streaming        boolean NOT NULL,
    base_bytes       bigint NOT NULL, -- of the base under way; 0: none
    bases_failed     int NOT NULL,    -- one after another
    rate_bps         bigint NOT NULL, -- of the stream, at its busiest of late
    backlog_bytes    bigint NOT NULL, -- of the source; 0: not known
    alarms           text[] NOT NULL, -- services/dr/core/alarm.h
    source           text NOT NULL,
    error            text NOT NULL,
    updated_at       timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON dr_groups, dr_shards TO prism_dr, prism_metadata_api, prism_rebalance;
GRANT INSERT, UPDATE ON dr_groups, dr_shards TO prism_dr;
GRANT DELETE ON dr_shards TO prism_dr;

-- How PostgreSQL itself is kept safe; one row a cluster. Written without waiting for the receiver
-- that it tells of, so a fail-over may find it a little old.
CREATE TABLE dr_pg (
    id              text PRIMARY KEY, -- PRISM_DR_CLUSTER
    backend         text NOT NULL,
    holder          text NOT NULL,
    epoch           bigint NOT NULL,
    lsn             text NOT NULL,    -- of the primary
    flushed_lsn     text NOT NULL,    -- safe with the receiver
    timeline        bigint NOT NULL,
    lag_ms          bigint NOT NULL,
    attached        boolean NOT NULL,
    synchronous     boolean NOT NULL,
    slot            text NOT NULL,
    slot_bytes      bigint NOT NULL,
    archive_waiting bigint NOT NULL,
    archived        text NOT NULL,
    newest_backup   text NOT NULL,
    backup_at       timestamptz,
    full_at         timestamptz,
    oldest_at       timestamptz,      -- a restore goes back to here
    repository_bytes bigint NOT NULL,
    job             text NOT NULL,
    alarms          text[] NOT NULL,
    error           text NOT NULL,
    updated_at      timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON dr_pg TO prism_dr, prism_metadata_api;
GRANT INSERT, UPDATE ON dr_pg TO prism_dr;

-- After a restore the routes are made anew from what the cluster holds, and epochs go on above all
-- that are in it.
GRANT SELECT, INSERT, UPDATE, DELETE ON route_bases TO prism_dr;
GRANT SELECT, DELETE ON route_deltas TO prism_dr;
CREATE POLICY dr_current ON route_bases TO prism_dr
    USING (kind = 'current') WITH CHECK (kind = 'current');
GRANT SELECT, UPDATE ON SEQUENCE move_epochs TO prism_dr;

-- What reading the bucket found, one row a generation; a generation that is not here was not read.
CREATE TABLE dr_generations (
    shard_id    text NOT NULL,
    epoch       bigint NOT NULL,
    n           int NOT NULL,
    verified_at timestamptz,          -- when reading it all began, and found it right
    damaged_at  timestamptz,          -- found damaged since; null: not
    reason      text NOT NULL DEFAULT '',
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (shard_id, epoch, n)
);

-- Shards that need a base newer than that generation, and why. A row says nothing any more once the
-- shard has one.
CREATE TABLE dr_bases_wanted (
    shard_id   text PRIMARY KEY,
    epoch      bigint NOT NULL,
    n          int NOT NULL,
    reason     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- What goes on regularly; one row a cluster.
CREATE TABLE dr_life (
    id              text PRIMARY KEY, -- PRISM_DR_CLUSTER
    created_at      timestamptz NOT NULL DEFAULT now(),
    drills_at       timestamptz NOT NULL DEFAULT now(), -- drills were last scheduled
    retained_at     timestamptz,
    retained        jsonb NOT NULL DEFAULT '{}',        -- what the last retention deleted
    scrub_begun_at  timestamptz,      -- of the pass under way or the last one
    scrub_ended_at  timestamptz,      -- null: under way
    scrub_object    text NOT NULL DEFAULT '',           -- read last in it
    scrub_objects   bigint NOT NULL DEFAULT 0,
    scrub_bytes     bigint NOT NULL DEFAULT 0,
    retain_error    text NOT NULL DEFAULT '',
    scrub_error     text NOT NULL DEFAULT ''
);

-- A drill of one shard; it is asked for by inserting a row.
CREATE TABLE dr_drills (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard_id     text NOT NULL,
    state        text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done')),
    outcome      text CHECK (outcome IN ('good', 'late', 'damaged', 'failed')),
    reason       text NOT NULL DEFAULT '',
    asked_by     text NOT NULL,       -- who, or 'schedule'
    holder       text NOT NULL DEFAULT '',
    attempts     int NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    generation   text,                -- that was restored, as in its name
    skipped      int,                 -- newer ones that were damaged
    list_ms      bigint,
    fetch_ms     bigint,
    load_ms      bigint,
    rto_ms       bigint,              -- all of it, until the server answered
    rpo_ms       bigint,              -- age of what came back when the drill began
    beat_at      timestamptz,         -- newest heartbeat that came back
    base_bytes   bigint,
    stream_bytes bigint,
    keys         bigint,
    CHECK ((state = 'done') = (outcome IS NOT NULL))
);
CREATE UNIQUE INDEX dr_drills_open ON dr_drills (shard_id) WHERE state <> 'done';
CREATE INDEX dr_drills_newest ON dr_drills (shard_id, finished_at DESC) WHERE state = 'done';
GRANT SELECT ON dr_generations, dr_bases_wanted, dr_life, dr_drills TO prism_dr, prism_metadata_api;
GRANT INSERT, UPDATE, DELETE ON dr_generations, dr_bases_wanted, dr_life, dr_drills TO prism_dr;
GRANT INSERT (shard_id, asked_by) ON dr_drills TO prism_metadata_api;

-- migrate:down
