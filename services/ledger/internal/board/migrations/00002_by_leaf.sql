-- +goose Up
-- Positions grow with the leaves, and times of recording all but a little: what is
-- looked for by one of them is found by halving the leaves.
DROP INDEX trail_position;
DROP INDEX trail_recorded;
