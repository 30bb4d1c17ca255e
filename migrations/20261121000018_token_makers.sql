-- migrate:up

-- Who made a token over REST, and who revoked it; prism-admin leaves them empty.
ALTER TABLE api_tokens
    ADD COLUMN created_by text NOT NULL DEFAULT '',
    ADD COLUMN revoked_by text NOT NULL DEFAULT '';
GRANT UPDATE (revoked_by) ON api_tokens TO prism_metadata_api;

-- migrate:down
