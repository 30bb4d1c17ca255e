-- migrate:up

-- Who talks to whom between slots, as the graph of a placement run has it
-- (common/base/prism/traffic.h), with vertices where they were when the run
-- began (before) and where it wants them (after).
CREATE TABLE slot_traffic (
    run_id bigint NOT NULL,
    kind   text NOT NULL CHECK (kind IN ('before', 'after')),
    blob   bytea NOT NULL,
    PRIMARY KEY (run_id, kind)
);

GRANT SELECT ON slot_traffic TO prism_placement, prism_rebalance, prism_metadata_api;
GRANT INSERT, DELETE ON slot_traffic TO prism_placement;

-- migrate:down
