-- +goose Up
DROP INDEX login_code_person;
CREATE UNIQUE INDEX login_code_person ON login_code (person);  -- the latest ends those before

-- +goose Down
DROP INDEX login_code_person;
CREATE INDEX login_code_person ON login_code (person);
