-- +goose Up
-- The leaves of the transparency log: the ledger's events, counted from 0 in their order.
CREATE TABLE leaf (
    leaf     BIGINT PRIMARY KEY,
    event    TEXT NOT NULL,   -- its id; not unique, for nothing keeps a store that was written to past the ledger from holding one twice
    position BIGINT NOT NULL,
    recorded BIGINT NOT NULL  -- microseconds since 1970
);
CREATE INDEX leaf_event ON leaf (event);
CREATE INDEX leaf_position ON leaf (position);
CREATE INDEX leaf_recorded ON leaf (recorded);
