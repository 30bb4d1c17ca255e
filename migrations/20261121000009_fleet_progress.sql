-- migrate:up

-- How far a fleet plan is, as its events say it too: {"ratio", "eta_s", "wave", "waves",
-- "steps", "steps_done", "steps_running", "steps_stuck", "slots", "slots_done", "bytes",
-- "bytes_done", "bytes_per_s", "reason"}. NULL: of work of another kind.
ALTER TABLE operations ADD COLUMN progress jsonb;
GRANT UPDATE (progress) ON operations TO prism_rebalance;

-- Of a slot: a batch of it broke off, and whoever gives its keys went on serving clients.
-- Of a key in flight either copy may then be the later one. Known to whoever saw it alone,
-- so it is kept with the keys.
ALTER TABLE steps ADD COLUMN served_on boolean NOT NULL DEFAULT false;

-- Nodes that came back from a failure as primaries without slots, each time that they were
-- told to follow their shard again: what comes back too often is left to a person.
CREATE TABLE node_returns (
    node_id text NOT NULL, -- nodes.id
    at      timestamptz NOT NULL DEFAULT now(),
    plan_id bigint,        -- of ours, a join; NULL: in the middle of another plan
    follows boolean NOT NULL DEFAULT false -- it does since; of a plan: see its state
);
CREATE INDEX ON node_returns (node_id, at);
GRANT SELECT, INSERT, DELETE ON node_returns TO prism_rebalance;
GRANT SELECT ON node_returns TO prism_metadata_api;

-- migrate:down
