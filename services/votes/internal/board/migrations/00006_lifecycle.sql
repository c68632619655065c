-- +goose Up
-- When what happened to a meeting, and the objections to its results. The steps
-- of what was folded before are missing, so everything is folded again.
CREATE TABLE meeting_step (
    meeting  TEXT NOT NULL,
    revision BIGINT NOT NULL,
    kind     TEXT NOT NULL,   -- of event
    happened BIGINT NOT NULL, -- microseconds
    PRIMARY KEY (meeting, revision)
);
CREATE TABLE objection (
    id      TEXT PRIMARY KEY,
    meeting TEXT NOT NULL,
    raised  BIGINT NOT NULL, -- position
    state   TEXT NOT NULL    -- JSON: meeting.Objection
);
CREATE INDEX objection_meeting ON objection (meeting);
DELETE FROM unit_version;
DELETE FROM title_version;
DELETE FROM meeting;
DELETE FROM roll_entry;
DELETE FROM voter;
DELETE FROM ballot;
DELETE FROM result;
DELETE FROM checkpoint WHERE name = 'votes';

-- +goose Down
DROP TABLE objection;
DROP TABLE meeting_step;
