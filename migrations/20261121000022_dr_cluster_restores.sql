-- migrate:up

-- A restore of every shard into a Redis Cluster; it is asked for by inserting a row. Whoever holds the lease
-- dr-life carries them out, one after another.
CREATE TABLE dr_cluster_restores (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target        text NOT NULL,               -- host:port,... of the cluster that is filled
    until_at      timestamptz,                 -- what had arrived by then; null: as far as it goes
    over_existing boolean NOT NULL DEFAULT false,
    accept_loss   boolean NOT NULL DEFAULT false,
    write_routes  boolean NOT NULL DEFAULT false,
    asked_by      text NOT NULL,
    canceled_by   text,                        -- who wants it to end
    state         text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done')),
    outcome       text CHECK (outcome IN ('good', 'refused', 'failed', 'canceled')),
    reason        text NOT NULL DEFAULT '',
    -- From copy on the target has been emptied; from unseal on it may be served.
    step          text NOT NULL DEFAULT ''
                  CHECK (step IN ('', 'list', 'fetch', 'copy', 'compare', 'routes', 'unseal')),
    shards        bigint NOT NULL DEFAULT 0,
    fetched       bigint NOT NULL DEFAULT 0,   -- of them
    keys          bigint NOT NULL DEFAULT 0,   -- that were found
    copied        bigint NOT NULL DEFAULT 0,   -- of them
    holder        text NOT NULL DEFAULT '',
    attempts      int NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT now(),
    started_at    timestamptz,
    finished_at   timestamptz,
    report        jsonb,                       -- as prism-dr restore-cluster prints it
    CHECK ((state = 'done') = (outcome IS NOT NULL))
);
CREATE UNIQUE INDEX dr_cluster_restores_open ON dr_cluster_restores ((true)) WHERE state <> 'done';
GRANT SELECT ON dr_cluster_restores TO prism_dr, prism_metadata_api;
GRANT UPDATE, DELETE ON dr_cluster_restores TO prism_dr;
GRANT INSERT (target, until_at, over_existing, accept_loss, write_routes, asked_by), UPDATE (canceled_by)
    ON dr_cluster_restores TO prism_metadata_api;

-- migrate:down
