-- +goose Up
-- A roll says of each unit its stair and what its area rests on. What was folded
-- before lacks both, so everything is folded again.
ALTER TABLE unit_version ADD COLUMN stair TEXT NOT NULL DEFAULT '';
ALTER TABLE unit_version ADD COLUMN basis TEXT NOT NULL DEFAULT '';
DELETE FROM unit_version;
DELETE FROM title_version;
DELETE FROM meeting;
DELETE FROM roll_entry;
DELETE FROM voter;
DELETE FROM ballot;
DELETE FROM result;
DELETE FROM checkpoint WHERE name = 'votes';

-- +goose Down
ALTER TABLE unit_version DROP COLUMN basis;
ALTER TABLE unit_version DROP COLUMN stair;
