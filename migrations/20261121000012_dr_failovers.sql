-- migrate:up

-- Region fail-overs as far as they are known here: the journal in the bucket is the truth, this is
-- what came out, written by the fail-over once the database is there.

CREATE TABLE dr_failovers (
    id          bigint NOT NULL,                  -- number in the journal; each bucket counts its own
    from_site   text NOT NULL,
    to_site     text NOT NULL,
    by_whom     text NOT NULL,
    site_epoch  bigint NOT NULL,                  -- of the marker that made to_site the owner
    begun_at    timestamptz NOT NULL,
    claimed_at  timestamptz NOT NULL,
    verified_at timestamptz NOT NULL,
    rpo_ms      bigint NOT NULL CHECK (rpo_ms >= 0),
    rto_ms      bigint NOT NULL CHECK (rto_ms >= 0),
    attempts    integer NOT NULL CHECK (attempts >= 1),
    report      jsonb NOT NULL,                   -- as prism-dr failover status prints it
    PRIMARY KEY (id, begun_at)
);

GRANT SELECT ON dr_failovers TO prism_metadata_api;

-- migrate:down
