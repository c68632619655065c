-- +goose Up
CREATE TABLE agreement (
    id     TEXT PRIMARY KEY,
    estate TEXT NOT NULL,
    starts TEXT NOT NULL,
    state  TEXT NOT NULL,
    terms  TEXT NOT NULL, -- JSON, as proposed
    signed TEXT NOT NULL, -- JSON, parties in the order of signing
    ended  TEXT NOT NULL  -- last day, empty while it is not ended
);
CREATE INDEX agreement_estate ON agreement (estate, starts);
CREATE TABLE choice (
    agreement TEXT NOT NULL,
    unit      TEXT NOT NULL,
    option    TEXT NOT NULL,
    since     TEXT NOT NULL,
    PRIMARY KEY (agreement, unit, option)
);
