-- +goose Up
ALTER TABLE ballot ADD COLUMN amendments BIGINT NOT NULL DEFAULT 0; -- of the roll, recorded before it

-- +goose Down
ALTER TABLE ballot DROP COLUMN amendments;
