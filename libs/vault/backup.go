package vault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
)

// Backup writes a copy of a vault that is a SQLite file to a new file of mode
// 0600, whether the vault is in use or not. Whoever has no key file can read
// neither. Sessions, login and ballot codes are left out: what ended since, by a logout
// or by use, must not come to life again where the copy is restored. What was
// deleted is not in it, and a key destroyed later stays in it.
func Backup(ctx context.Context, from, to string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("vault: backup: %w", err)
		}
	}()
	// SQLite would make it readable by all, and makes a missing source.
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	source, err := openFile(from)
	if err != nil {
		return err
	}
	if _, err := source.ExecContext(ctx, `VACUUM INTO ?`, to); err != nil {
		return errors.Join(err, source.Close())
	}
	if err := source.Close(); err != nil {
		return err
	}
	backup, err := openFile(to)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		`PRAGMA journal_mode = DELETE`, `PRAGMA secure_delete = 1`, `DELETE FROM session`, `DELETE FROM login_code`, `DELETE FROM ballot_code`, `DELETE FROM share`, `VACUUM`,
	} {
		if _, err := backup.ExecContext(ctx, statement); err != nil {
			return errors.Join(err, backup.Close())
		}
	}
	return backup.Close()
}

// openFile opens a SQLite file that exists, on one connection.
func openFile(path string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	q := url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(10000)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}
