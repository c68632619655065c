-- +goose Up
ALTER TABLE vault ADD COLUMN scrubbed BIGINT NOT NULL DEFAULT 0;  -- erasures of which the database's files hold nothing any more

-- +goose Down
ALTER TABLE vault DROP COLUMN scrubbed;
