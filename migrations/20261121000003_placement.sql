-- migrate:up

CREATE TABLE placement_runs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operation_id uuid NOT NULL,
    state        text NOT NULL DEFAULT 'pending'
                 CHECK (state IN ('pending', 'running', 'done', 'failed', 'canceled')),
    source       jsonb NOT NULL, -- {"file": "/path", "format": "snap"|"metis"|"binary"}
    params       jsonb NOT NULL DEFAULT '{}', -- {"seed": 1, "imbalance": 0.05}
    report       jsonb,
    error        text,
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    revision     bigint NOT NULL DEFAULT 0
);
CREATE TRIGGER placement_runs_revision BEFORE INSERT OR UPDATE ON placement_runs
    FOR EACH ROW EXECUTE FUNCTION bump_revision();

-- partition -> zone as a run wants it, with the vertices it puts there.
CREATE TABLE hints (
    run_id    bigint NOT NULL,
    partition int NOT NULL,
    zone_id   text NOT NULL,
    vertices  bigint NOT NULL,
    PRIMARY KEY (run_id, partition)
) PARTITION BY HASH (partition);

-- Packed routes (common/base/prism/routes.h), one blob per home partition.
-- kind 'current': where vertices are (run_id 0); 'target': where a run wants
-- them. A vertex that is not listed belongs in its home partition.
CREATE TABLE route_bases (
    kind    text NOT NULL CHECK (kind IN ('current', 'target')),
    run_id  bigint NOT NULL,
    home    int NOT NULL,
    entries int NOT NULL,
    blob    bytea NOT NULL,
    PRIMARY KEY (kind, run_id, home)
) PARTITION BY HASH (home);

DO $$
BEGIN
    FOR i IN 0..7 LOOP
        EXECUTE format('CREATE TABLE hints_%s PARTITION OF hints '
                       'FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);
        EXECUTE format('CREATE TABLE route_bases_%s PARTITION OF route_bases '
                       'FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);
    END LOOP;
END $$;

-- What executed batches changed, newest last, until folded into the bases.
CREATE TABLE route_deltas (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan_id    bigint NOT NULL,
    batch      bigint NOT NULL,
    entries    int NOT NULL,
    blob       bytea NOT NULL, -- packed routes of any home partitions, sorted
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (plan_id, batch)
);

GRANT SELECT ON placement_runs, hints, route_bases, route_deltas
    TO prism_placement, prism_rebalance, prism_metadata_api;
GRANT INSERT ON placement_runs TO prism_metadata_api;
GRANT UPDATE (state, report, error, started_at, finished_at) ON placement_runs TO prism_placement;
GRANT INSERT, UPDATE, DELETE ON hints TO prism_placement;
GRANT INSERT, UPDATE, DELETE ON route_bases TO prism_placement, prism_rebalance;
GRANT INSERT, DELETE ON route_deltas TO prism_rebalance;

-- placement writes targets only, rebalance current routes only.
ALTER TABLE route_bases ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_all ON route_bases FOR SELECT USING (true);
CREATE POLICY placement_targets ON route_bases TO prism_placement
    USING (kind = 'target') WITH CHECK (kind = 'target');
CREATE POLICY rebalance_current ON route_bases TO prism_rebalance
    USING (kind = 'current') WITH CHECK (kind = 'current');

-- migrate:down
