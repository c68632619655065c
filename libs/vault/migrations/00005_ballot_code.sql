-- +goose Up
CREATE TABLE ballot_code (
	meeting TEXT NOT NULL,
	entry TEXT NOT NULL,         -- of the meeting's roll
	person TEXT NOT NULL,        -- who votes for it
	hash BYTEA NOT NULL UNIQUE,  -- HMAC of the code; a newer one takes its place
	expires BIGINT NOT NULL,     -- Unix microseconds
	used BOOLEAN NOT NULL,
	PRIMARY KEY (meeting, entry)
);
CREATE INDEX ballot_code_person ON ballot_code (person);

-- +goose Down
DROP TABLE ballot_code;
