-- migrate:up

-- Of kind slot, begun: moved by a job of the server (atomic slot migration), not key by
-- key. Who takes over asks the servers what became of the job.
ALTER TABLE steps ADD COLUMN atomic boolean NOT NULL DEFAULT false;

-- migrate:down
