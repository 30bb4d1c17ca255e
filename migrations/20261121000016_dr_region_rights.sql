-- migrate:up

-- A region fail-over that the service runs, for sites that share this database: the old side's nodes
-- give way to the new side's, what was known of the streams is forgotten, and what was reached is
-- written down.
GRANT DELETE ON nodes, shards, slots, dr_groups TO prism_dr;
GRANT INSERT (id) ON zones TO prism_dr;
GRANT INSERT (id, host, port, zone_id) ON nodes TO prism_dr;
GRANT SELECT, INSERT, UPDATE (report, attempts) ON dr_failovers TO prism_dr;

-- migrate:down
