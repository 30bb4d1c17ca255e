-- migrate:up

-- Slots that one shard is giving to another, from before the first key moves until all that was
-- deleted at the giver is durable in the other region. The executor of plans asks by inserting a
-- row, and says when it is over (ended); dr admits it (number), knows it (known) when whoever leads
-- the giver's group holds its stream back for the taker's, and deletes it.
CREATE TABLE dr_gives (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan_id    bigint NOT NULL,
    giver      text NOT NULL,  -- shards.id
    taker      text NOT NULL,
    slots      bytea NOT NULL CHECK (length(slots) = 2048), -- bit s%8 of byte s/8
    number     bigint,         -- of the turn at taking; null: not admitted yet
    known      boolean NOT NULL DEFAULT false,
    ended      boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now() -- when it is admitted: then
);
GRANT SELECT ON dr_gives TO prism_dr, prism_rebalance, prism_metadata_api;
GRANT INSERT (plan_id, giver, taker, slots), UPDATE (ended) ON dr_gives TO prism_rebalance;
GRANT UPDATE (number, known, created_at), DELETE ON dr_gives TO prism_dr;

-- migrate:down
