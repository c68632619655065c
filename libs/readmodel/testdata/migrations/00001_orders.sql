-- +goose Up
CREATE TABLE orders (
	id TEXT PRIMARY KEY, estate TEXT NOT NULL, category TEXT NOT NULL, place TEXT NOT NULL, state TEXT NOT NULL,
	reported BIGINT NOT NULL, score BIGINT, on_time BOOLEAN NOT NULL, words BYTEA NOT NULL, events BIGINT NOT NULL
);
CREATE TABLE totals (estate TEXT NOT NULL, category TEXT NOT NULL, number BIGINT NOT NULL, PRIMARY KEY (estate, category));

-- +goose Down
DROP TABLE orders;
DROP TABLE totals;
