-- migrate:up

-- A plan moves vertices towards a placement run, or changes the fleet: which
-- node serves which slots, who is a replica of whom, who is a member.
ALTER TABLE plans ALTER COLUMN run_id DROP NOT NULL;
ALTER TABLE plans
    ADD COLUMN kind        text NOT NULL DEFAULT 'vertices' CHECK (kind IN ('vertices', 'fleet')),
    ADD COLUMN goal        jsonb, -- of a fleet plan: {"kind": "drain", "nodes": ["n3"], ...}
    ADD COLUMN fingerprint text,  -- of the cluster state that it was computed from
    ADD COLUMN active_s    double precision NOT NULL DEFAULT 0, -- carried out so far, without pauses
    ADD CHECK ((kind = 'vertices' AND run_id IS NOT NULL) OR (kind = 'fleet' AND goal IS NOT NULL));

-- What a fleet plan does, in waves: a wave begins when the one before is
-- verified. Slots have a row each. States of a slot: planned -> importing ->
-- migrating -> draining -> handoff -> verified | rolled_back | stuck; other
-- kinds: planned -> acting -> verified | stuck. The state is the furthest step
-- that was intended; what has happened is what the cluster reports.
-- Partitioned by plan, so that plans can be spread over servers; one plan's rows
-- are in one partition.
CREATE TABLE steps (
    plan_id     bigint NOT NULL,
    step        int NOT NULL, -- from 1
    wave        int NOT NULL, -- from 1
    kind        text NOT NULL CHECK (kind IN ('meet', 'replicate', 'failover', 'slot', 'forget')),
    slot        int CHECK (slot BETWEEN 0 AND 16383), -- of kind slot
    shard       text NOT NULL DEFAULT '', -- replicate, failover: the shard's id
    src_node    text NOT NULL DEFAULT '', -- nodes.id
    dst_node    text NOT NULL DEFAULT '',
    bytes       bigint NOT NULL DEFAULT 0, -- expected
    keys        bigint NOT NULL DEFAULT 0,
    why         text NOT NULL DEFAULT '',
    state       text NOT NULL DEFAULT 'planned'
                CHECK (state IN ('planned', 'acting', 'importing', 'migrating', 'draining',
                                 'handoff', 'verified', 'rolled_back', 'stuck')),
    back        boolean NOT NULL DEFAULT false, -- of a slot: its keys return to the source
    failed_over boolean NOT NULL DEFAULT false, -- who gives keys did, and they are not compared yet
    in_flight   bytea, -- keys that may be on both sides; packed: uint32 length, bytes
    moved_keys  bigint NOT NULL DEFAULT 0,
    moved_bytes bigint NOT NULL DEFAULT 0,
    error       text,
    lease_epoch bigint NOT NULL DEFAULT 0,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (plan_id, step)
) PARTITION BY HASH (plan_id);
-- Keys of vertices hardly shrink, and are written again with every group of slots.
ALTER TABLE steps ALTER COLUMN in_flight SET STORAGE EXTERNAL;
-- A row is updated a few times, never in a column of the key: with room in its page
-- each is a HOT update; a partial index on unfinished states would forbid that
-- (of 2,048 updates all are HOT beside the index below, none beside such a one).
-- A plan has some 16,384 rows: vacuum by their number, whatever older plans left.
DO $$
BEGIN
    FOR i IN 0..7 LOOP
        EXECUTE format('CREATE TABLE steps_%s PARTITION OF steps '
                       'FOR VALUES WITH (MODULUS 8, REMAINDER %s) '
                       'WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, '
                       'autovacuum_vacuum_threshold = 4000, '
                       'autovacuum_vacuum_insert_scale_factor = 0, '
                       'autovacuum_vacuum_insert_threshold = 16000, '
                       'autovacuum_analyze_scale_factor = 0, '
                       'autovacuum_analyze_threshold = 8000)', i, i);
    END LOOP;
END $$;
CREATE INDEX ON steps (plan_id, wave);

-- The last move of each slot: cooldown, and no reversal.
CREATE TABLE slot_history (
    slot       int PRIMARY KEY CHECK (slot BETWEEN 0 AND 16383),
    plan_id    bigint NOT NULL,
    from_shard text NOT NULL,
    to_shard   text NOT NULL,
    moved_at   timestamptz NOT NULL DEFAULT now()
);

-- What must stay where it is, by whose word. kind slot: value is its number.
CREATE TABLE pins (
    kind       text NOT NULL CHECK (kind IN ('slot', 'shard', 'node')),
    value      text NOT NULL,
    why        text NOT NULL DEFAULT '',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, value)
);

-- Standing orders, one row per service. rebalance: {"auto": ["failback"],
-- "window": {"cron": "0 3 * * 0", "timeZone": "UTC", "minutes": 240},
-- "maxBytes": 1e12, "maxSlots": 2048}. halted: nothing runs, nothing begins.
CREATE TABLE policies (
    name       text PRIMARY KEY,
    spec       jsonb NOT NULL DEFAULT '{}',
    halted     boolean NOT NULL DEFAULT false,
    changed_by text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL DEFAULT now(),
    revision   bigint NOT NULL DEFAULT 0
);
CREATE TRIGGER policies_revision BEFORE INSERT OR UPDATE ON policies
    FOR EACH ROW EXECUTE FUNCTION bump_revision();
INSERT INTO policies (name) VALUES ('rebalance');

-- The zone in which a shard's primary belongs: where it was first seen, until a
-- plan says otherwise. After a fail-over it is brought back there.
ALTER TABLE shards ADD COLUMN home_zone text;
UPDATE shards SET home_zone = (SELECT zone_id FROM nodes WHERE nodes.id = shards.primary_id);

GRANT SELECT ON slot_history, pins, policies TO prism_rebalance, prism_metadata_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON steps TO prism_rebalance;
-- all but in_flight: those are keys of clients
GRANT SELECT (plan_id, step, wave, kind, slot, shard, src_node, dst_node, bytes, keys, why, state,
              back, failed_over, moved_keys, moved_bytes, error, lease_epoch, updated_at)
    ON steps TO prism_metadata_api;
GRANT INSERT, UPDATE ON slot_history TO prism_rebalance;
GRANT INSERT ON plans TO prism_rebalance;         -- standing orders make plans
GRANT INSERT ON operations TO prism_rebalance;
GRANT INSERT, UPDATE, DELETE ON pins TO prism_metadata_api;
GRANT UPDATE ON policies TO prism_metadata_api;
GRANT UPDATE (params) ON plans TO prism_metadata_api; -- what is allowed to a plan later

-- migrate:down
