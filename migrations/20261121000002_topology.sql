-- migrate:up

-- Facts fixed for the life of the store.
CREATE TABLE store (
    id              boolean PRIMARY KEY DEFAULT true CHECK (id),
    partitions      int NOT NULL CHECK (partitions BETWEEN 1 AND 1048576),
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE zones (
    id             text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,30}$'),
    subnet         cidr, -- gives a node its zone when its registration does not
    capacity_ratio real NOT NULL DEFAULT 1 CHECK (capacity_ratio >= 0), -- relative to other zones
    revision       bigint NOT NULL DEFAULT 0
);
CREATE TRIGGER zones_revision BEFORE INSERT OR UPDATE ON zones
    FOR EACH ROW EXECUTE FUNCTION bump_revision();

CREATE TABLE placement_groups (
    id       text PRIMARY KEY,
    zone_id  text NOT NULL REFERENCES zones,
    max_nodes int NOT NULL DEFAULT 500 CHECK (max_nodes > 0)
);

-- Registered Redis nodes. The columns from redis_id on are what the cluster
-- reports (written by rebalance's topology watcher).
CREATE TABLE nodes (
    id              text PRIMARY KEY CHECK (id ~ '^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$'),
    host            text NOT NULL,
    port            int NOT NULL CHECK (port BETWEEN 1 AND 65535),
    zone_id         text REFERENCES zones,
    placement_group text REFERENCES placement_groups,
    redis_id        text,
    role            text NOT NULL DEFAULT 'unknown' CHECK (role IN ('unknown', 'primary', 'replica')),
    shard_id        text,
    state           text NOT NULL DEFAULT 'registered'
                    CHECK (state IN ('registered', 'up', 'failed', 'gone')),
    slots           int NOT NULL DEFAULT 0,
    seen_at         timestamptz,
    revision        bigint NOT NULL DEFAULT 0,
    UNIQUE (host, port)
);
CREATE TRIGGER nodes_revision BEFORE INSERT OR UPDATE ON nodes
    FOR EACH ROW EXECUTE FUNCTION bump_revision();

CREATE TABLE shards (
    id         text PRIMARY KEY, -- smallest id of its nodes: stable over fail-overs
    primary_id text NOT NULL,    -- nodes.id
    replicas   text[] NOT NULL DEFAULT '{}',
    slots      int NOT NULL,
    revision   bigint NOT NULL DEFAULT 0
);
CREATE TRIGGER shards_revision BEFORE INSERT OR UPDATE ON shards
    FOR EACH ROW EXECUTE FUNCTION bump_revision();

CREATE TABLE slots (
    slot     int PRIMARY KEY CHECK (slot BETWEEN 0 AND 16383),
    shard_id text NOT NULL,
    node_id  text NOT NULL, -- nodes.id of its primary
    zone_id  text           -- of that primary; NULL: unknown, nothing moves
);

CREATE TABLE partitions (
    id          int NOT NULL CHECK (id >= 0),
    slot        int NOT NULL,
    vertices    bigint NOT NULL DEFAULT 0,
    bytes       bigint NOT NULL DEFAULT 0,
    accessed_at timestamptz,
    temperature text NOT NULL DEFAULT 'hot' CHECK (temperature IN ('hot', 'warm', 'cold')),
    PRIMARY KEY (id)
) PARTITION BY HASH (id);
DO $$
BEGIN
    FOR i IN 0..7 LOOP
        EXECUTE format('CREATE TABLE partitions_%s PARTITION OF partitions '
                       'FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);
    END LOOP;
END $$;

GRANT SELECT ON store, zones, placement_groups, nodes, shards, slots, partitions
    TO prism_placement, prism_rebalance, prism_metadata_api;
GRANT INSERT, UPDATE, DELETE ON zones, placement_groups, nodes TO prism_metadata_api;
GRANT UPDATE (redis_id, role, shard_id, state, slots, seen_at, zone_id) ON nodes TO prism_rebalance;
GRANT INSERT, UPDATE, DELETE ON shards, slots TO prism_rebalance;
GRANT INSERT, UPDATE ON partitions TO prism_rebalance, prism_placement;

-- migrate:down
