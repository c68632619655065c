-- +goose Up
-- Mandates as they are in their holders' streams: taken, returned, refused.
CREATE TABLE mandate (
    meeting  TEXT NOT NULL,
    holder   TEXT NOT NULL,
    revision BIGINT NOT NULL,
    position BIGINT NOT NULL,
    entry    BIGINT NOT NULL, -- of the owner
    kind     TEXT NOT NULL,   -- stored name of the event
    event    BYTEA NOT NULL,  -- as recorded
    PRIMARY KEY (meeting, holder, revision)
);
CREATE INDEX mandate_holder ON mandate (holder);
CREATE INDEX mandate_entry ON mandate (meeting, entry);
