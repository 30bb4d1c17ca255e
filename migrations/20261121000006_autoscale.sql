-- migrate:up

DO $$
BEGIN
    CREATE ROLE prism_autoscale;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

-- What every service may.
GRANT USAGE ON SCHEMA public TO prism_autoscale;
GRANT USAGE ON SEQUENCE revisions TO prism_autoscale;
GRANT SELECT, INSERT, UPDATE ON leases TO prism_autoscale;
GRANT SELECT, INSERT, UPDATE (published_at), DELETE ON outbox TO prism_autoscale;
GRANT SELECT, INSERT, DELETE ON processed TO prism_autoscale;
GRANT INSERT ON audit TO prism_autoscale;
DO $$
BEGIN
    IF to_regclass('schema_migrations') IS NOT NULL THEN
        GRANT SELECT ON schema_migrations TO prism_autoscale;
    END IF;
END $$;

-- Who is there, and the plans by which members join and are drained.
GRANT SELECT ON store, zones, placement_groups, nodes, shards, slots, partitions TO prism_autoscale;
GRANT INSERT, DELETE ON nodes TO prism_autoscale; -- it starts members, and takes away stopped ones
GRANT SELECT, INSERT, UPDATE (state) ON plans TO prism_autoscale; -- and cancels its own
GRANT SELECT, INSERT, UPDATE (cancel_requested, updated_at) ON operations TO prism_autoscale;
GRANT SELECT ON policies TO prism_autoscale; -- is rebalance halted?

-- Fleets and their settings: what they are made of, policies, sources of figures,
-- actuators. version is the ETag: a number that was given out is never used again.
CREATE TABLE autoscale_fleets (
    name       text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    version    bigint NOT NULL DEFAULT 1,
    settings   jsonb NOT NULL CHECK (jsonb_typeof(settings) = 'object'),
    enabled    boolean NOT NULL DEFAULT true, -- false: nothing is decided for it
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    revision   bigint NOT NULL DEFAULT 0
);
CREATE TRIGGER autoscale_fleets_revision BEFORE INSERT OR UPDATE ON autoscale_fleets
    FOR EACH ROW EXECUTE FUNCTION bump_revision();

-- Every version there ever was: decisions name theirs. Written by the triggers below
-- alone, so that no writer can forget it and nobody can change it.
CREATE TABLE autoscale_settings (
    fleet      text NOT NULL,
    version    bigint NOT NULL,
    settings   jsonb NOT NULL,
    enabled    boolean NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (fleet, version)
);

CREATE FUNCTION autoscale_next_version() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    SELECT coalesce(max(version), 0) + 1 INTO NEW.version
    FROM autoscale_settings WHERE fleet = NEW.name;
    NEW.changed_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER autoscale_fleets_version BEFORE INSERT OR UPDATE ON autoscale_fleets
    FOR EACH ROW EXECUTE FUNCTION autoscale_next_version();

CREATE FUNCTION autoscale_keep_version() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO autoscale_settings (fleet, version, settings, enabled, changed_by, changed_at)
    VALUES (NEW.name, NEW.version, NEW.settings, NEW.enabled, NEW.changed_by, NEW.changed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER autoscale_fleets_history AFTER INSERT OR UPDATE ON autoscale_fleets
    FOR EACH ROW EXECUTE FUNCTION autoscale_keep_version();
REVOKE ALL ON FUNCTION autoscale_next_version(), autoscale_keep_version() FROM PUBLIC;

-- What a fleet's policies carry from one evaluation to the next, and how many
-- instances are wanted. memory is json, not jsonb: kept to the byte.
CREATE TABLE autoscale_state (
    fleet        text PRIMARY KEY REFERENCES autoscale_fleets,
    desired      int NOT NULL CHECK (desired >= 0),
    memory       json NOT NULL,
    evaluated_at timestamptz NOT NULL,
    lease_epoch  bigint NOT NULL
);

-- A minute of a fleet; NULL: unknown. Partitions of a week, from Monday (UTC).
CREATE TABLE autoscale_samples (
    fleet       text NOT NULL,
    at          timestamptz NOT NULL, -- end of the minute
    cpu_pct     double precision CHECK (cpu_pct >= 0 AND cpu_pct <= 100),
    memory_pct  double precision CHECK (memory_pct >= 0 AND memory_pct <= 100),
    network_bps double precision CHECK (network_bps >= 0 AND network_bps < 'Infinity'),
    backlog     double precision CHECK (backlog >= 0 AND backlog < 'Infinity'),
    load        double precision CHECK (load >= 0 AND load < 'Infinity'), -- members at 100 % CPU
    serving     int NOT NULL CHECK (serving >= 0), -- members whose figures these are; 0 unknown
    silent      int NOT NULL CHECK (silent >= 0),
    odd         jsonb NOT NULL DEFAULT '{}', -- readings not taken as they came: {"late": 3}
    merged_at   timestamptz NOT NULL, -- a later merging of the same minute replaces it
    PRIMARY KEY (fleet, at)
) PARTITION BY RANGE (at);

-- What single members said, until it is merged and a while longer; any number a source
-- may say, NULL: unknown. member '': the whole fleet. Partitions of an hour.
CREATE TABLE autoscale_readings (
    fleet       text NOT NULL,
    member      text NOT NULL,
    zone        text NOT NULL DEFAULT '',
    source      text NOT NULL,
    at          timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    cpu_pct     double precision,
    memory_pct  double precision,
    network_bps double precision,
    backlog     double precision,
    load        double precision, -- of the member: 1 is all that it can do
    why         text NOT NULL DEFAULT '', -- what is unknown, and why
    PRIMARY KEY (fleet, at, member, source)
) PARTITION BY RANGE (at);

-- Makes partitions from the one before asof's to `ahead` after it, and drops those that
-- ended more than `keep` before asof (or before now, should asof be wrong). Returns the
-- number dropped. Services own no table, so this runs as who does. A new partition is
-- attached, which lets readers and writers go on; a drop that would wait for them is left
-- for the next time.
CREATE FUNCTION autoscale_partitions(parent text, asof timestamptz, ahead int, keep interval)
RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
    width   interval := CASE parent WHEN 'autoscale_samples' THEN interval '7 days'
                                    WHEN 'autoscale_readings' THEN interval '1 hour' END;
    begins  timestamptz;
    part    text;
    dropped int := 0;
BEGIN
    IF width IS NULL THEN
        RAISE EXCEPTION 'no such partitioned table: %', parent;
    END IF;
    IF keep < width OR ahead NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION 'keep % (% at least), ahead % (1 to 100)', keep, width, ahead;
    END IF;
    PERFORM pg_advisory_xact_lock(7241890);
    FOR i IN -1..ahead LOOP
        begins := date_bin(width, asof, timestamptz '2001-01-01 00:00+00') + i * width;
        part := parent || to_char(begins, '_YYYYMMDDHH24');
        IF to_regclass(part) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                           part, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           parent, part, begins, begins + width);
        END IF;
    END LOOP;
    FOR part IN
        SELECT c.relname FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
        WHERE h.inhparent = parent::regclass
        AND to_timestamp(right(c.relname, 10), 'YYYYMMDDHH24') + width
            <= least(asof, clock_timestamp()) - keep
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE %I', part);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN NULL;
        END;
    END LOOP;
    RETURN dropped;
END $$;
REVOKE ALL ON FUNCTION autoscale_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION autoscale_partitions TO prism_autoscale;

-- What was decided, with all that it was decided from. decided -> acting -> done | failed;
-- superseded: a later decision took its place. input and decision are json, not jsonb: a
-- replay must find every digit and the sign of every zero.
CREATE TABLE autoscale_decisions (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fleet            text NOT NULL REFERENCES autoscale_fleets,
    at               timestamptz NOT NULL, -- the time that it was decided for
    settings_version bigint NOT NULL,
    from_instances   int NOT NULL,
    to_instances     int NOT NULL,
    move             text NOT NULL CHECK (move IN ('hold', 'out', 'in', 'unknown')),
    why              text NOT NULL,
    alarm            boolean NOT NULL DEFAULT false,
    alarm_why        text NOT NULL DEFAULT '',
    input            json NOT NULL,
    decision         json NOT NULL,
    state            text NOT NULL DEFAULT 'decided'
                     CHECK (state IN ('decided', 'acting', 'done', 'failed', 'superseded')),
    report           jsonb,  -- the actuator's: what it was told, what it reports
    plan_id          bigint, -- plans.id of the moving of slots
    lease_epoch      bigint NOT NULL,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    revision         bigint NOT NULL DEFAULT 0,
    UNIQUE (fleet, at)
);
CREATE TRIGGER autoscale_decisions_revision BEFORE INSERT OR UPDATE ON autoscale_decisions
    FOR EACH ROW EXECUTE FUNCTION bump_revision();
CREATE INDEX autoscale_decisions_fleet ON autoscale_decisions (fleet, id DESC);
CREATE INDEX autoscale_decisions_open ON autoscale_decisions (fleet)
    WHERE state IN ('decided', 'acting');
CREATE INDEX autoscale_decisions_carried ON autoscale_decisions (fleet, id DESC)
    WHERE report IS NOT NULL;

-- Changes of what is wanted, once the actuator was told.
CREATE TABLE autoscale_actions (
    fleet          text NOT NULL REFERENCES autoscale_fleets,
    at             timestamptz NOT NULL,
    from_instances int NOT NULL,
    to_instances   int NOT NULL,
    decision_id    bigint, -- NULL: by hand
    PRIMARY KEY (fleet, at)
);

GRANT SELECT ON autoscale_fleets, autoscale_settings, autoscale_state, autoscale_samples,
    autoscale_readings, autoscale_decisions, autoscale_actions
    TO prism_autoscale, prism_metadata_api;
GRANT INSERT (name, settings, enabled, changed_by), UPDATE (settings, enabled, changed_by)
    ON autoscale_fleets TO prism_metadata_api;
GRANT INSERT, UPDATE ON autoscale_state, autoscale_samples TO prism_autoscale;
GRANT INSERT ON autoscale_readings, autoscale_decisions, autoscale_actions TO prism_autoscale;
GRANT UPDATE (state, report, plan_id, lease_epoch, updated_at) ON autoscale_decisions
    TO prism_autoscale;
GRANT DELETE ON autoscale_decisions, autoscale_actions TO prism_autoscale; -- old ones

-- migrate:down
