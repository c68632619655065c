-- +goose Up
-- By which rules each estate decides, as it adopted them.
CREATE TABLE procedure_adopted (
    estate   TEXT NOT NULL,
    position BIGINT NOT NULL,
    adopted  TEXT NOT NULL, -- JSON: votes.RulesAdopted
    PRIMARY KEY (estate, position)
);
