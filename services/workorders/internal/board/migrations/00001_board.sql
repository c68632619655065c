-- +goose Up
CREATE TABLE work_order (
    id         TEXT PRIMARY KEY,
    estate     TEXT NOT NULL,
    number     TEXT NOT NULL,
    state      TEXT NOT NULL,
    reported   BIGINT NOT NULL, -- Unix seconds of the report
    due        BIGINT NOT NULL, -- Unix seconds of the next limit not recorded as overdue; 0: none
    live       BIGINT NOT NULL, -- 1: not entered from papers of the past
    overdue    BIGINT NOT NULL, -- 1: a limit passed since the report or the last reopening
    responded  BIGINT NOT NULL, -- 1: a crew was dispatched
    completed  BIGINT NOT NULL, -- 1: finished
    on_time    BIGINT NOT NULL, -- 1: finished within its limit
    sensor     BIGINT NOT NULL, -- 1: raised by a sensor
    in_time    BIGINT NOT NULL, -- 1: raised by a sensor, crew there within the limit
    score      BIGINT NOT NULL, -- 0: not rated
    reporter   TEXT NOT NULL,
    detail     TEXT NOT NULL -- JSON, the order as folded
);
CREATE INDEX work_order_estate ON work_order (estate, reported, id);
CREATE INDEX work_order_due ON work_order (due) WHERE live = 1 AND due > 0;
CREATE TABLE time_limit (
    estate TEXT PRIMARY KEY,
    limits TEXT NOT NULL -- JSON
);
