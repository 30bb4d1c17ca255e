-- migrate:up

-- Group roles, one per service; logins and passwords are given by whoever runs
-- the database. Roles belong to the whole server, so they may exist already.
DO $$
DECLARE r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['prism_placement', 'prism_rebalance', 'prism_metadata_api'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I', r);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END LOOP;
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO prism_placement, prism_rebalance, prism_metadata_api;

-- One increasing number for every change of a resource, so that readers can
-- tell newer from older across tables.
CREATE SEQUENCE revisions;
GRANT USAGE ON SEQUENCE revisions TO prism_placement, prism_rebalance, prism_metadata_api;

CREATE FUNCTION bump_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := nextval('revisions');
    RETURN NEW;
END $$;

CREATE TABLE leases (
    name       text PRIMARY KEY,
    holder     text NOT NULL,
    epoch      bigint NOT NULL CHECK (epoch > 0), -- fencing number, only grows
    expires_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON leases TO prism_placement, prism_rebalance, prism_metadata_api;

CREATE TABLE outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    msg_id       uuid NOT NULL DEFAULT gen_random_uuid(),
    service      name NOT NULL DEFAULT current_user, -- whose relay publishes it
    subject      text NOT NULL,
    payload      bytea NOT NULL CHECK (length(payload) <= 524288),
    traceparent  text NOT NULL DEFAULT '',
    xid          xid8 NOT NULL DEFAULT pg_current_xact_id(), -- readers wait for pg_snapshot_xmin
    created_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz
);
CREATE INDEX outbox_unpublished ON outbox (service, id) WHERE published_at IS NULL;
GRANT SELECT, INSERT, UPDATE (published_at), DELETE ON outbox
    TO prism_placement, prism_rebalance, prism_metadata_api;

CREATE FUNCTION notify_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('prism_outbox', '');
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_notify AFTER INSERT ON outbox
    FOR EACH STATEMENT EXECUTE FUNCTION notify_outbox();

-- Outlives the streams (7 days).
CREATE TABLE processed (
    consumer text NOT NULL,
    event_id text NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX processed_at ON processed (at);
GRANT SELECT, INSERT, DELETE ON processed TO prism_placement, prism_rebalance, prism_metadata_api;

-- Long work. States: pending, running, done, failed, canceled.
CREATE TABLE operations (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind             text NOT NULL, -- placement.run, rebalance.plan, rebalance.execute
    resource         text NOT NULL, -- placement/runs/7
    state            text NOT NULL DEFAULT 'pending'
                     CHECK (state IN ('pending', 'running', 'done', 'failed', 'canceled')),
    phase            text NOT NULL DEFAULT '',
    progress_ratio   real NOT NULL DEFAULT 0 CHECK (progress_ratio BETWEEN 0 AND 1),
    eta_s            real, -- NULL: unknown
    error            text,
    cancel_requested boolean NOT NULL DEFAULT false,
    created_by       text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    finished_at      timestamptz,
    revision         bigint NOT NULL DEFAULT 0
);
CREATE TRIGGER operations_revision BEFORE INSERT OR UPDATE ON operations
    FOR EACH ROW EXECUTE FUNCTION bump_revision();
CREATE INDEX operations_created ON operations (created_at DESC, id);
GRANT SELECT, UPDATE (state, phase, progress_ratio, eta_s, error, updated_at, finished_at)
    ON operations TO prism_placement, prism_rebalance;
GRANT SELECT, INSERT, UPDATE ON operations TO prism_metadata_api;

-- Who, what, before, after. Append-only: no service may update or delete.
CREATE TABLE audit (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now(),
    principal text NOT NULL,
    action    text NOT NULL, -- placement.run.create
    resource  text NOT NULL,
    before    jsonb,
    after     jsonb,
    trace     text NOT NULL DEFAULT ''
);
GRANT INSERT ON audit TO prism_placement, prism_rebalance;
GRANT SELECT, INSERT ON audit TO prism_metadata_api;

CREATE TABLE api_tokens (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    hash       bytea NOT NULL UNIQUE, -- SHA-256 of the token; the token is shown once
    role       text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
GRANT SELECT, INSERT, UPDATE (revoked_at) ON api_tokens TO prism_metadata_api;

CREATE TABLE idempotency (
    key        text NOT NULL,
    principal  text NOT NULL,
    body_hash  bytea NOT NULL,
    status     int NOT NULL,
    response   text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, key)
);
GRANT SELECT, INSERT, DELETE ON idempotency TO prism_metadata_api;

-- dbmate's own table is readable, so that readiness can check the schema.
DO $$
BEGIN
    IF to_regclass('schema_migrations') IS NOT NULL THEN
        GRANT SELECT ON schema_migrations TO prism_placement, prism_rebalance, prism_metadata_api;
    END IF;
END $$;

-- migrate:down
