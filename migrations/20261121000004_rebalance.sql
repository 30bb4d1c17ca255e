-- migrate:up

-- Plans. proposed -> approved -> running -> done | failed | canceled; paused
-- from running and back.
CREATE TABLE plans (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operation_id uuid NOT NULL,          -- of the planning
    execute_operation_id uuid,           -- of the execution
    run_id       bigint NOT NULL REFERENCES placement_runs,
    state        text NOT NULL DEFAULT 'pending'
                 CHECK (state IN ('pending', 'proposed', 'approved', 'running', 'paused',
                                  'done', 'failed', 'canceled')),
    params       jsonb NOT NULL DEFAULT '{}', -- {"batch_vertices": 1000, "workers": 4}
    summary      jsonb,                       -- moves, bytes, reasons, gain, verdict, duration
    result       jsonb,                       -- moved, seconds, vertices_per_s, retries
    error        text,
    created_by   text NOT NULL,
    approved_by  text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    revision     bigint NOT NULL DEFAULT 0
);
CREATE TRIGGER plans_revision BEFORE INSERT OR UPDATE ON plans
    FOR EACH ROW EXECUTE FUNCTION bump_revision();

-- Fresh epochs of vertex moves; a number handed out is never used again.
CREATE SEQUENCE move_epochs;

-- One row per batch of vertices from one node to another. ids: packed uint8
-- length, id bytes, uint32 little-endian source and target partition each.
CREATE TABLE moves (
    plan_id     bigint NOT NULL,
    batch       bigint NOT NULL,
    src_node    text NOT NULL,
    dst_node    text NOT NULL,
    state       text NOT NULL DEFAULT 'planned'
                CHECK (state IN ('planned', 'copying', 'fenced', 'promoted', 'routed', 'done',
                                 'failed', 'rolled_back')),
    attempt     int NOT NULL DEFAULT 0,
    move_epoch  bigint NOT NULL DEFAULT 0,  -- newest E of the batch
    epochs      bigint[] NOT NULL DEFAULT '{}', -- every E it ever staged under, to sweep
    lease_epoch bigint NOT NULL DEFAULT 0,
    vertices    int NOT NULL,
    moved       int NOT NULL DEFAULT 0,
    bytes       bigint NOT NULL DEFAULT 0,
    ids         bytea NOT NULL,
    error       text,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (plan_id, batch)
) PARTITION BY HASH (plan_id);
DO $$
BEGIN
    FOR i IN 0..7 LOOP
        EXECUTE format('CREATE TABLE moves_%s PARTITION OF moves '
                       'FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);
    END LOOP;
END $$;

GRANT SELECT ON plans, moves TO prism_placement, prism_rebalance, prism_metadata_api;
GRANT INSERT, UPDATE (state, approved_by, execute_operation_id) ON plans TO prism_metadata_api;
GRANT UPDATE ON plans TO prism_rebalance;
GRANT INSERT, UPDATE ON moves TO prism_rebalance;
GRANT USAGE ON SEQUENCE move_epochs TO prism_rebalance;

-- migrate:down
