-- +goose Up
CREATE TABLE held (
    person TEXT NOT NULL,
    unit   TEXT NOT NULL,
    estate TEXT NOT NULL,
    code   TEXT NOT NULL,
    since  BIGINT NOT NULL, -- position at which the first title to the unit was stated
    until  BIGINT NOT NULL, -- position at which the last one ended; 0: it has not
    PRIMARY KEY (person, unit)
);
CREATE TABLE unit_owners (
    unit   TEXT PRIMARY KEY,
    people TEXT NOT NULL    -- JSON, who holds a title now
);
CREATE TABLE meeting (
    id     TEXT PRIMARY KEY,
    estate TEXT NOT NULL,
    frozen BIGINT NOT NULL, -- position of its roll; 0: none yet
    closes BIGINT NOT NULL, -- deadline of voting, Unix microseconds; 0: no notice yet
    closed BIGINT NOT NULL  -- position at which voting was closed; 0: it is not
);
CREATE INDEX meeting_estate ON meeting (estate);

-- +goose Down
DROP TABLE meeting;
DROP TABLE unit_owners;
DROP TABLE held;
