-- +goose Up
ALTER TABLE agreement ADD COLUMN decided TEXT NOT NULL DEFAULT '{}'; -- JSON, what owners decided of it and what took its place
CREATE TABLE decision (
    id       TEXT PRIMARY KEY, -- of the event by which it took effect
    estate   TEXT NOT NULL,
    decision TEXT NOT NULL, -- JSON, the event
    done     BIGINT NOT NULL, -- 1: it was carried out
    refused  TEXT NOT NULL -- JSON, why it was not; '' unless
);
CREATE INDEX decision_estate ON decision (estate);

-- +goose Down
DROP TABLE decision;
ALTER TABLE agreement DROP COLUMN decided;
