-- +goose Up
CREATE TABLE vault (
	id BIGINT PRIMARY KEY,     -- 1, the only row
	token BYTEA NOT NULL,      -- sealed under the master key: tells whether a key file belongs to this vault
	erasures BIGINT NOT NULL   -- counts destroyed keys, so that caches notice
);
CREATE TABLE subject_key (
	subject TEXT PRIMARY KEY,  -- person/…, estate/…, meeting/…
	keyset BYTEA               -- under the master key; NULL once destroyed, and never made again
);
CREATE TABLE person (
	id TEXT PRIMARY KEY,
	data BYTEA NOT NULL,       -- under the person's key
	document BYTEA UNIQUE      -- HMAC of the identity document
);
CREATE TABLE login_code (
	hash BYTEA PRIMARY KEY,    -- HMAC of the code
	person TEXT NOT NULL,
	expires BIGINT NOT NULL    -- Unix microseconds
);
CREATE INDEX login_code_person ON login_code (person);
CREATE TABLE session (
	token BYTEA PRIMARY KEY,   -- HMAC of the token
	data BYTEA NOT NULL,       -- under the master key
	expires BIGINT NOT NULL    -- Unix microseconds
);

-- +goose Down
DROP TABLE session;
DROP TABLE login_code;
DROP TABLE person;
DROP TABLE subject_key;
DROP TABLE vault;
