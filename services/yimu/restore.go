package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/libs/vault"
)

type restoreCmd struct {
	Data   string `help:"Directory that the system or the store shall run on; absent or empty." default:"data" env:"YIMU_DATA" type:"path"`
	Keys   string `help:"Directory of the key files, as backup was told. Needed where the backup has a vault." placeholder:"DIR" type:"path"`
	Log    bool   `help:"Take the transparency log and its key too. Only for a system that moves: it did not run when the backup was made, and never since."`
	Source string `arg:"" help:"Directory of the backup." type:"path"`
}

// Help is shown by yimu restore --help.
func (restoreCmd) Help() string {
	return `Every file is held against the manifest of the backup before anything is written; what is missing or damaged is named.
Then the data directory is made, the key file is tried on the vault, and the ledger is read to its end. The next
"yimu up" replays the read models, which takes it longer than usual, once.

What was recorded after the backup is gone, and the positions after its last are given anew. So whoever followed the
ledger further has to begin again: empty the PostgreSQL database of the read models where services run apart; copies and
other readers likewise. Services refuse to start on read models that are ahead of the ledger.
A restored system begins a new transparency log, with a new key and a new name: the old one had signed what is gone, so
that going on with it would contradict what others hold. Tell everyone who checks the log its new key. Old receipts stay
good for what they say; the old log is in the backup. --log goes on with the old one, where nothing was lost.
Everyone logs in again, with new login codes. Tokens that were revoked and people who were erased after the backup was
made are there again: revoke and erase them again.

restored.json in the data directory says how far the backup reached, and so does the log at each start.`
}

// restoredFile says that, and to where, a data directory was restored.
const restoredFile = "restored.json"

// unfinished is in a data directory while a restore writes into it.
const unfinished = "restore-unfinished"

// restored is the content of restored.json.
type restored struct {
	Ledger reach     `json:"ledger"` // as the backup had it
	Backup time.Time `json:"backup"` // when it began
	At     time.Time `json:"restored"`
}

// Run restores and says how far it reaches.
func (c *restoreCmd) Run(ctx context.Context) error {
	r, err := c.restore(ctx)
	if err != nil {
		return spaced(err)
	}
	fmt.Fprintf(os.Stderr, "%s is restored to %s, as of the backup of %s. What came later is not in it.\n", c.Data, r.Ledger, r.Backup.Format(time.RFC3339))
	return nil
}

func (c *restoreCmd) restore(ctx context.Context) (r restored, err error) {
	m, err := readManifest(c.Source)
	if err != nil {
		return r, err
	}
	switch {
	case len(m.Keys) > 0 && c.Keys == "":
		return r, errors.New("this backup has a vault; say with --keys where its key file is")
	case len(m.Keys) == 0 && c.Keys != "":
		return r, errors.New("this backup has no vault, so it needs no keys; leave --keys out")
	case c.Log && m.Running:
		return r, errors.New("the system ran when this backup was made, and may have signed more of the transparency log since; leave --log out, and it begins a new one")
	case c.Log && !slices.ContainsFunc(m.Files, func(f copied) bool { return f.Name == "log/checkpoint" }):
		return r, errors.New("there is no transparency log in this backup; leave --log out")
	case within(c.Data, c.Source):
		return r, fmt.Errorf("%s is inside the backup", c.Data)
	}
	if err := errors.Join(verify(ctx, c.Source, m.Files), verify(ctx, c.Keys, m.Keys)); err != nil {
		return r, fmt.Errorf("nothing was restored:\n%w", err)
	}
	discard, err := newDir(c.Data)
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, discard())
		}
	}()
	if err := writeWhole(filepath.Join(c.Data, unfinished), c.Source); err != nil {
		return r, err
	}
	if err := take(ctx, c.Source, m.Files, func(name string) string {
		if !c.Log && strings.HasPrefix(name, "log/") {
			return ""
		}
		return filepath.Join(c.Data, name)
	}); err != nil {
		return r, err
	}
	if err := take(ctx, c.Keys, m.Keys, func(name string) string {
		if strings.HasPrefix(name, "log-") {
			if name = logKey; !c.Log {
				return ""
			}
		}
		return filepath.Join(c.Data, "keys", name)
	}); err != nil {
		return r, err
	}
	if len(m.Keys) > 0 {
		v, err := vault.Open(ctx, vault.Config{URL: "sqlite://" + filepath.Join(c.Data, "vault.db"), KeyFile: filepath.Join(c.Data, "keys", "vault.json")})
		if err != nil {
			return r, err
		}
		if err := v.Close(); err != nil {
			return r, err
		}
	}
	reaches, err := measure(ctx, filepath.Join(c.Data, "ledger"))
	if err != nil {
		return r, err
	}
	if reaches.Position != m.Ledger.Position || reaches.Events != m.Ledger.Events {
		return r, fmt.Errorf("the ledger reaches %s, and the backup says %s", reaches, m.Ledger)
	}
	if _, err := settle(ctx, c.Data); err != nil {
		return r, err
	}
	r = restored{Ledger: m.Ledger, Backup: m.Began, At: time.Now().UTC()}
	if err := writeWhole(filepath.Join(c.Data, restoredFile), r); err != nil {
		return r, err
	}
	return r, errors.Join(os.Remove(filepath.Join(c.Data, unfinished)), syncPath(c.Data))
}

func readManifest(dir string) (m manifest, err error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, fmt.Errorf("there is no %s in %s: it is no backup, or one that was interrupted", manifestFile, dir)
	case err != nil:
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%s is damaged: %w", filepath.Join(dir, manifestFile), err)
	}
	if m.Format != manifestFormat {
		return m, fmt.Errorf("the backup has format %d, and this program knows %d; use the version that made it, %s", m.Format, manifestFormat, m.Version)
	}
	return m, nil
}

// verify holds files in a directory against what is said of them, and names all
// that are not so.
func verify(ctx context.Context, dir string, files []copied) error {
	var wrong []error
	for _, f := range files {
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			return fmt.Errorf("%q in the manifest is no name of a file", f.Name)
		}
		got, err := sumFile(ctx, filepath.Join(dir, filepath.FromSlash(f.Name)))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist):
			wrong = append(wrong, fmt.Errorf("%s is missing in %s", f.Name, dir))
		case err != nil:
			wrong = append(wrong, err)
		case got.Size != f.Size || got.SHA256 != f.SHA256:
			wrong = append(wrong, fmt.Errorf("%s in %s is damaged: it is not what was backed up", f.Name, dir))
		}
	}
	return errors.Join(wrong...)
}

// take copies files of a directory to where to says, "" for nowhere, and looks
// again whether they are what is said of them.
func take(ctx context.Context, from string, files []copied, to func(name string) string) error {
	for _, f := range files {
		target := to(f.Name)
		if target == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		got, err := copyFile(ctx, filepath.Join(from, filepath.FromSlash(f.Name)), target)
		if err != nil {
			return err
		}
		if got.SHA256 != f.SHA256 {
			return fmt.Errorf("%s changed while it was copied", f.Name)
		}
	}
	return nil
}

// checkRestored refuses a data directory that was not restored to the end, and
// says of one that was how far its backup reached.
func checkRestored(data string, log *slog.Logger) error {
	if _, err := os.Stat(filepath.Join(data, unfinished)); err == nil {
		return fmt.Errorf("%s was not restored to the end; delete what is in it and restore again", data)
	}
	text, err := os.ReadFile(filepath.Join(data, restoredFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var r restored
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", filepath.Join(data, restoredFile), err)
	}
	log.Warn("this ledger was restored from a backup, and lacks what was recorded between that and the restore",
		slog.Uint64("position", uint64(r.Ledger.Position)), slog.Time("recorded", r.Ledger.Recorded),
		slog.Time("backup", r.Backup), slog.Time("restored", r.At))
	return nil
}
