-- migrate:up

-- What somebody wanted, apart from how it is: generation is the revision at which a resource was
-- last changed as somebody wants it or judges by it. What only follows (where the cluster says a
-- node is, how far work has come) raises the revision alone, so that it does not spoil the If-Match
-- of somebody who changes the rest.
ALTER TABLE nodes ADD COLUMN generation bigint NOT NULL DEFAULT 0;
ALTER TABLE plans ADD COLUMN generation bigint NOT NULL DEFAULT 0;
ALTER TABLE operations ADD COLUMN generation bigint NOT NULL DEFAULT 0;

-- It is no news to anybody: neither a new revision nor a row of changes.
ALTER TABLE nodes DISABLE TRIGGER USER;
UPDATE nodes SET generation = revision;
ALTER TABLE nodes ENABLE TRIGGER USER;
ALTER TABLE plans DISABLE TRIGGER USER;
UPDATE plans SET generation = revision;
ALTER TABLE plans ENABLE TRIGGER USER;
ALTER TABLE operations DISABLE TRIGGER USER;
UPDATE operations SET generation = revision;
ALTER TABLE operations ENABLE TRIGGER USER;

CREATE FUNCTION bump_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.generation := NEW.revision;
    RETURN NEW;
END $$;

-- Triggers of a kind run in the order of their names: each of these after NAME_revision.
CREATE TRIGGER nodes_wanted_first BEFORE INSERT ON nodes
    FOR EACH ROW EXECUTE FUNCTION bump_generation();
CREATE TRIGGER nodes_wanted BEFORE UPDATE ON nodes FOR EACH ROW
    WHEN ((OLD.host, OLD.port, OLD.zone_id, OLD.placement_group)
          IS DISTINCT FROM (NEW.host, NEW.port, NEW.zone_id, NEW.placement_group))
    EXECUTE FUNCTION bump_generation();
-- A plan is judged by what it would do and by where it stands: who resumes one that is stuck must
-- have seen at what.
CREATE TRIGGER plans_wanted_first BEFORE INSERT ON plans
    FOR EACH ROW EXECUTE FUNCTION bump_generation();
CREATE TRIGGER plans_wanted BEFORE UPDATE ON plans FOR EACH ROW
    WHEN ((OLD.goal, OLD.params, OLD.fingerprint, OLD.summary, OLD.state, OLD.error,
           OLD.approved_by)
          IS DISTINCT FROM
          (NEW.goal, NEW.params, NEW.fingerprint, NEW.summary, NEW.state, NEW.error,
           NEW.approved_by))
    EXECUTE FUNCTION bump_generation();
CREATE TRIGGER operations_wanted_first BEFORE INSERT ON operations
    FOR EACH ROW EXECUTE FUNCTION bump_generation();
CREATE TRIGGER operations_wanted BEFORE UPDATE ON operations FOR EACH ROW
    WHEN (OLD.cancel_requested IS DISTINCT FROM NEW.cancel_requested)
    EXECUTE FUNCTION bump_generation();

-- migrate:down
