-- +goose Up
-- How the notice reached the owner of an entry, or did not.
CREATE TABLE delivery (
    meeting  TEXT NOT NULL,
    entry    BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    kind     TEXT NOT NULL,  -- delivered or failed
    event    BYTEA NOT NULL, -- as recorded
    PRIMARY KEY (meeting, entry, revision)
);

-- +goose Down
DROP TABLE delivery;
