-- migrate:up

-- How each zone is; written by the topology watcher of rebalance when it changes.
CREATE TABLE zone_states (
    zone_id       text PRIMARY KEY,
    state         text NOT NULL CHECK (state IN ('empty', 'up', 'hurt', 'down')),
    nodes         int NOT NULL,    -- members of the cluster
    failed        int NOT NULL,
    primaries     int NOT NULL,    -- that serve slots, failed ones too
    all_primaries int NOT NULL,    -- of all zones
    uncovered     int NOT NULL,    -- slots that no live primary serves, of all zones
    alarms        text[] NOT NULL, -- services/rebalance/core/zones.h
    updated_at    timestamptz NOT NULL DEFAULT now()
);

-- A zone that failed, or several of its primaries at once, until all of it is back in its place.
CREATE TABLE zone_incidents (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    zone_id       text NOT NULL,
    whole         boolean NOT NULL,     -- every node of it had failed
    quorum        boolean NOT NULL,     -- enough primaries were alive to elect, until all was covered
    nodes         int NOT NULL,         -- of the zone; these five as they were at the worst look
    failed        int NOT NULL,
    primaries     int NOT NULL,
    all_primaries int NOT NULL,
    uncovered     int NOT NULL,
    seen_at       timestamptz NOT NULL, -- newest sign of life of the nodes that failed
    failed_at     timestamptz NOT NULL DEFAULT now(), -- noticed
    covered_at    timestamptz,          -- every slot was served again
    back_at       timestamptz,          -- all of it is in its place again, since
    ended_at      timestamptz
);
CREATE UNIQUE INDEX zone_incidents_open ON zone_incidents (zone_id) WHERE ended_at IS NULL;

-- A primary with slots that failed, and who took over.
CREATE TABLE failovers (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard_id    text NOT NULL,
    zone_id     text NOT NULL,        -- of the primary that failed
    from_node   text NOT NULL,
    to_node     text,
    incident_id bigint REFERENCES zone_incidents,
    forced      boolean NOT NULL DEFAULT false, -- not elected: told to by rebalance
    outcome     text CHECK (outcome IN ('promoted', 'returned', 'gone')),
    seen_at     timestamptz NOT NULL, -- last sign of life
    failed_at   timestamptz NOT NULL DEFAULT now(), -- noticed
    ended_at    timestamptz,          -- promoted: when that was seen
    CHECK ((outcome IS NULL) = (ended_at IS NULL))
);
CREATE UNIQUE INDEX failovers_open ON failovers (shard_id) WHERE ended_at IS NULL;
CREATE INDEX failovers_newest ON failovers (failed_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON zone_states, zone_incidents, failovers TO prism_rebalance;
GRANT SELECT ON zone_states, zone_incidents, failovers TO prism_metadata_api, prism_dr;

-- migrate:down
