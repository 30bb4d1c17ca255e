-- migrate:up

-- What changed, for whoever watches: one row a change of a resource that the API shows, written by
-- triggers in the transaction of the change, so that no writer can forget it. The order is
-- (xid, id), and readers stop below pg_snapshot_xmin: what is still to be committed has a higher
-- xid than everything that was read, so nothing is ever skipped.
CREATE TABLE changes (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    resource text NOT NULL, -- as in the API's paths: nodes/n1, rebalance/plans/3
    type     text NOT NULL CHECK (type IN ('created', 'updated', 'deleted')),
    revision bigint NOT NULL, -- of the resource; 0: it has none
    state    text NOT NULL    -- of the resource; '': it has none
);
CREATE INDEX changes_order ON changes (xid, id);
CREATE INDEX changes_at ON changes (at);

-- The last row that was thrown away: who has seen less than that has missed something.
CREATE TABLE changes_floor (
    only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
    xid      xid8 NOT NULL DEFAULT '0',
    id       bigint NOT NULL DEFAULT 0
);
INSERT INTO changes_floor DEFAULT VALUES;

GRANT SELECT, DELETE ON changes TO prism_metadata_api;
GRANT SELECT, UPDATE ON changes_floor TO prism_metadata_api;

CREATE FUNCTION notify_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('prism_changes', '');
    RETURN NULL;
END $$;
CREATE TRIGGER changes_notify AFTER INSERT ON changes
    FOR EACH STATEMENT EXECUTE FUNCTION notify_changes();

-- Pins are changed like everything else: by who knows what they are now.
ALTER TABLE pins ADD COLUMN revision bigint NOT NULL DEFAULT 0;
UPDATE pins SET revision = nextval('revisions');
CREATE TRIGGER pins_revision BEFORE INSERT OR UPDATE ON pins
    FOR EACH ROW EXECUTE FUNCTION bump_revision();

-- For each table: the name of a row's resource, its revision, its state, and which rows and
-- updates are worth telling. r is the row, o the row before an update (else r itself). The
-- functions run as their owner: a service may change its tables, but not invent changes.
DO $do$
DECLARE t record;
BEGIN
    FOR t IN SELECT * FROM (VALUES
        ('zones', $$'zones/' || r.id$$, 'r.revision', $$''$$, 'true'),
        ('nodes', $$'nodes/' || r.id$$, 'r.revision', 'r.state',
         $$TG_OP <> 'UPDATE' OR to_jsonb(o) - '{seen_at,revision}'::text[]
            <> to_jsonb(r) - '{seen_at,revision}'::text[]$$),
        ('shards', $$'topology/shards/' || r.id$$, 'r.revision', $$''$$, 'true'),
        ('route_deltas', $$'routes'$$, 'r.id', $$''$$, $$TG_OP = 'INSERT'$$),
        ('operations', $$'operations/' || r.id$$, 'r.revision', 'r.state',
         $$TG_OP <> 'UPDATE' OR (o.state, o.phase, o.progress_ratio, o.error, o.cancel_requested)
            IS DISTINCT FROM (r.state, r.phase, r.progress_ratio, r.error, r.cancel_requested)$$),
        ('placement_runs', $$'placement/runs/' || r.id$$, 'r.revision', 'r.state', 'true'),
        ('plans', $$'rebalance/plans/' || r.id$$, 'r.revision', 'r.state', 'true'),
        ('policies', $$r.name || '/policy'$$, 'r.revision',
         $$CASE WHEN r.halted THEN 'halted' ELSE '' END$$, 'true'),
        ('pins', $$'rebalance/pins/' || r.kind || '/' || r.value$$, 'r.revision', $$''$$, 'true'),
        ('autoscale_fleets', $$'autoscale/fleets/' || r.name$$, 'r.revision',
         $$CASE WHEN r.enabled THEN 'enabled' ELSE 'disabled' END$$, 'true'),
        ('autoscale_decisions', $$'autoscale/decisions/' || r.id$$, 'r.revision', 'r.state',
         $$TG_OP <> 'DELETE' AND (r.move <> 'hold' OR r.alarm)$$),
        ('dr_drills', $$'dr/drills/' || r.id$$, '0', 'r.state',
         $$TG_OP <> 'UPDATE' OR o.state <> r.state$$)
    ) AS v (name, resource, revision, state, news) LOOP
        EXECUTE format($f$
            CREATE FUNCTION tell_%1$s() RETURNS trigger LANGUAGE plpgsql
                SECURITY DEFINER SET search_path = public, pg_temp AS $b$
            DECLARE
                r %1$I := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
                o %1$I := CASE WHEN TG_OP = 'INSERT' THEN NEW ELSE OLD END;
            BEGIN
                IF %5$s THEN
                    INSERT INTO changes (resource, type, revision, state) VALUES (%2$s,
                        CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'updated'
                            ELSE 'deleted' END, %3$s, %4$s);
                END IF;
                RETURN NULL;
            END $b$;
            REVOKE ALL ON FUNCTION tell_%1$s() FROM PUBLIC;
            CREATE TRIGGER %1$s_tell AFTER INSERT OR UPDATE OR DELETE ON %1$I
                FOR EACH ROW EXECUTE FUNCTION tell_%1$s();
        $f$, t.name, t.resource, t.revision, t.state, t.news);
    END LOOP;
END $do$;

-- migrate:down
