-- +goose Up
CREATE TABLE share (
	subject TEXT NOT NULL,     -- meeting/…: whose key was dealt
	person TEXT NOT NULL,      -- the trustee
	public TEXT NOT NULL,      -- the public key, so that a deal that was given up is none
	sealed TEXT NOT NULL,      -- the share, under the trustee's key, until it is taken
	PRIMARY KEY (subject, person, public)
);

-- +goose Down
DROP TABLE share;
