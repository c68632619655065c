-- +goose Up
-- The trail: a row for each event of the ledger, counted from 0 in their order.
CREATE TABLE trail (
    leaf     BIGINT PRIMARY KEY,
    event    TEXT NOT NULL, -- its id; not unique, for nothing keeps a store that was written to past the ledger from holding one twice
    position BIGINT NOT NULL,
    stream   TEXT NOT NULL,
    revision BIGINT NOT NULL,
    type     TEXT NOT NULL,
    estate   TEXT NOT NULL, -- '': of no estate
    about    TEXT NOT NULL, -- stream of the meeting or agreement that an event of another stream is about; ''
    actor    TEXT NOT NULL,
    happened BIGINT NOT NULL, -- microseconds since 1970; 0: the metadata do not tell
    recorded BIGINT NOT NULL, -- microseconds since 1970
    cause    TEXT NOT NULL -- id of the event that led to it; ''
);
CREATE INDEX trail_event ON trail (event);
CREATE INDEX trail_position ON trail (position);
CREATE INDEX trail_recorded ON trail (recorded);
CREATE INDEX trail_stream ON trail (stream, revision);
CREATE INDEX trail_type ON trail (type, leaf);
CREATE INDEX trail_estate ON trail (estate, leaf) WHERE estate <> '';
CREATE INDEX trail_about ON trail (about, leaf) WHERE about <> '';
CREATE INDEX trail_actor ON trail (actor, leaf);
CREATE INDEX trail_cause ON trail (cause) WHERE cause <> '';
