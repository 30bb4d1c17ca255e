-- migrate:up

-- What a member's data takes, so that those with least to move leave first; NULL: unknown.
ALTER TABLE autoscale_readings ADD COLUMN data_bytes double precision;

-- Since when members are there and ready, where no provider says it: as the decisions have
-- seen it, minute by minute. NULL: nobody has asked.
ALTER TABLE autoscale_state ADD COLUMN members json;

-- Where the traffic is, by zone: a placement run's report.
GRANT SELECT ON placement_runs TO prism_autoscale;

-- What a clock that was ahead has left is set aside.
GRANT DELETE ON autoscale_samples, autoscale_readings TO prism_autoscale;
GRANT UPDATE (at) ON autoscale_decisions, autoscale_actions TO prism_autoscale;

-- Makes partitions from the one before asof's to `ahead` after it, and drops those that
-- ended more than `keep` before asof (or before now, should asof be wrong). Returns the
-- number dropped. Services own no table, so this runs as who does. A new partition is
-- attached, which lets readers and writers go on; a drop that would wait for them is left
-- for the next time.
CREATE OR REPLACE FUNCTION autoscale_partitions(parent text, asof timestamptz, ahead int, keep interval)
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
        /* The planner may try this on any name there is, before it knows whose child it is. */
        AND CASE WHEN c.relname ~ '_[0-9]{10}$'
                 THEN to_timestamp(right(c.relname, 10), 'YYYYMMDDHH24') + width
                      <= least(asof, clock_timestamp()) - keep
                 ELSE false END
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE %I', part);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN NULL;
        END;
    END LOOP;
    RETURN dropped;
END $$;

-- migrate:down
