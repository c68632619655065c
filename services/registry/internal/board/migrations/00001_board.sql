-- +goose Up
CREATE TABLE estate (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    fee_category TEXT NOT NULL,
    changed      BIGINT NOT NULL -- position of the last change to its units or titles
);
CREATE TABLE unit (
    id       TEXT PRIMARY KEY,
    estate   TEXT NOT NULL,
    code     TEXT NOT NULL,
    building TEXT NOT NULL,
    stair    TEXT NOT NULL,
    room     TEXT NOT NULL,
    purpose  TEXT NOT NULL,
    area     BIGINT NOT NULL, -- 0.01 m²
    basis    TEXT NOT NULL,
    state    TEXT NOT NULL,
    titles   TEXT NOT NULL -- JSON, all titles of the unit
);
CREATE UNIQUE INDEX unit_code ON unit (estate, code);
