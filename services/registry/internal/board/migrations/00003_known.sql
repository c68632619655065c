-- +goose Up
-- A year runs from when the owners knew of a decision: an extension and a posting
-- move it, and a cancelled meeting decides nothing. What was folded before does not
-- know that, so it is folded again.
ALTER TABLE meeting RENAME COLUMN closes TO known; -- deadline of voting, or when the result was posted last; Unix microseconds; 0: no notice, or cancelled
DELETE FROM held;
DELETE FROM unit_owners;
DELETE FROM meeting;
DELETE FROM checkpoint WHERE name = 'keeping';

-- +goose Down
ALTER TABLE meeting RENAME COLUMN known TO closes;
