-- +goose Up
-- What the registry says of units and titles, every version of it: a roll is
-- built as of a position, and must come out the same whenever it is built again.
CREATE TABLE unit_version (
    id       TEXT NOT NULL,
    since    BIGINT NOT NULL, -- position
    estate   TEXT NOT NULL,
    code     TEXT NOT NULL,
    building TEXT NOT NULL,
    purpose  TEXT NOT NULL,
    area     BIGINT NOT NULL, -- 0.01 m²
    state    TEXT NOT NULL,
    PRIMARY KEY (id, since)
);
CREATE INDEX unit_version_estate ON unit_version (estate);
CREATE TABLE title_version (
    id     TEXT NOT NULL, -- of the unit
    since  BIGINT NOT NULL,
    estate TEXT NOT NULL,
    titles TEXT NOT NULL, -- JSON, all titles of the unit
    PRIMARY KEY (id, since)
);
CREATE INDEX title_version_estate ON title_version (estate);

CREATE TABLE meeting (
    id      TEXT PRIMARY KEY,
    estate  TEXT NOT NULL,
    drafted BIGINT NOT NULL, -- position
    open    BOOLEAN NOT NULL, -- live, posted, and not counted yet
    state   TEXT NOT NULL, -- JSON: meeting.Meeting
    summary TEXT NOT NULL  -- JSON: meeting.Summary, '' until counted
);
CREATE INDEX meeting_estate ON meeting (estate);
CREATE TABLE roll_entry (
    meeting TEXT NOT NULL,
    entry   BIGINT NOT NULL,
    area    BIGINT NOT NULL,
    posted  TEXT NOT NULL, -- JSON: votes.Entry
    PRIMARY KEY (meeting, entry)
);
-- Who is who in a roll. Not posted.
CREATE TABLE voter (
    meeting TEXT NOT NULL,
    person  TEXT NOT NULL,
    entry   TEXT NOT NULL, -- '' where there is none
    reason  TEXT NOT NULL, -- why
    PRIMARY KEY (meeting, person)
);
CREATE INDEX voter_person ON voter (person);
CREATE TABLE ballot (
    meeting  TEXT NOT NULL,
    entry    BIGINT NOT NULL, -- 0 where the voter has none
    voter    TEXT NOT NULL,   -- of a ballot without an entry, else ''
    revision BIGINT NOT NULL,
    position BIGINT NOT NULL,
    kind     TEXT NOT NULL,   -- cast, refused or envelope
    late     BOOLEAN NOT NULL, -- recorded after voting was closed in the ledger
    answers  BIGINT NOT NULL, -- motions it answers
    event    BYTEA NOT NULL,  -- as recorded
    PRIMARY KEY (meeting, entry, voter, revision)
);
CREATE TABLE result (
    meeting TEXT NOT NULL,
    number  BIGINT NOT NULL, -- in the order of the notice
    posted  TEXT NOT NULL,   -- JSON: meeting.Result
    PRIMARY KEY (meeting, number)
);
