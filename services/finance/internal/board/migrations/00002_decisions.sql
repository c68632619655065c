-- +goose Up
ALTER TABLE budget ADD COLUMN decided TEXT NOT NULL DEFAULT '[]'; -- JSON, lines that owners decided on
CREATE TABLE draw (
    id     TEXT PRIMARY KEY,
    estate TEXT NOT NULL,
    state  TEXT NOT NULL -- JSON, what was opened and what was paid
);
CREATE INDEX draw_estate ON draw (estate);
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
DROP TABLE draw;
ALTER TABLE budget DROP COLUMN decided;
