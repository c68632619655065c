package search

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
	_ "modernc.org/sqlite" // reads the tables of what a system keeps
)

// Dir searches every file below a directory, and the names of files. What goes
// away meanwhile is passed over.
func (s *Search) Dir(ctx context.Context, dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		place, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		s.Bytes("name of a file", []byte(place))
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, part := range parts(b) {
			s.Bytes(place, part)
		}
		if err := s.decoded(ctx, place, path, b); err != nil {
			return fmt.Errorf("search: %s: %w", path, err)
		}
		return nil
	})
}

// parts returns what is between long runs of zeros: logs and indexes are made long
// before they are filled.
func parts(b []byte) (all [][]byte) {
	zeros := make([]byte, 4096)
	for len(b) > 0 {
		end := bytes.Index(b, zeros)
		if end < 0 {
			return append(all, b)
		}
		if end > 0 {
			all = append(all, b[:end])
		}
		b = bytes.TrimLeft(b[end:], "\x00")
	}
	return all
}

// decoded searches what a file of a known kind means.
func (s *Search) decoded(ctx context.Context, place, path string, b []byte) error {
	switch {
	case bytes.HasPrefix(b, []byte("SQLite format 3\x00")):
		return s.sqlite(ctx, place, path)
	case strings.HasSuffix(path, ".sst"):
		return s.table(ctx, place, b)
	case strings.HasSuffix(path, ".blob") && strings.Contains(filepath.Base(filepath.Dir(path)), "ledger"):
		return errors.New("values are kept apart, in a form that is not searched")
	case strings.HasSuffix(path, ".log"), strings.HasPrefix(filepath.Base(path), "MANIFEST-"):
		s.Bytes(place+" → records", records(b))
	}
	return nil
}

// table searches the blocks of one of Pebble's tables: data, indexes and the rest.
func (s *Search) table(ctx context.Context, place string, b []byte) error {
	memory := vfs.NewMem()
	f, err := memory.Create("table", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err := f.Write(bytes.Clone(b)); err != nil { // under the race detector it spoils what it is given
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if f, err = memory.Open("table"); err != nil {
		return err
	}
	var readable objstorage.Readable
	if readable, err = sstable.NewSimpleReadable(f); err != nil {
		return err
	}
	r, err := sstable.NewReader(ctx, readable, sstable.ReaderOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	layout, err := r.Layout()
	if err != nil {
		return err
	}
	blocks := append(append([]block.Handle{}, layout.Index...), layout.ValueBlock...)
	for _, d := range layout.Data {
		blocks = append(blocks, d.Handle)
	}
	for _, f := range layout.Filter {
		blocks = append(blocks, f.Handle)
	}
	blocks = append(blocks, layout.TopIndex, layout.RangeDel, layout.RangeKey, layout.ValueIndex, layout.Properties, layout.MetaIndex)
	for _, h := range blocks {
		if h.Length == 0 {
			continue
		}
		packed := b[h.Offset : h.Offset+h.Length]
		how := block.CompressionIndicator(b[h.Offset+h.Length])
		if how == block.NoCompressionIndicator {
			continue // searched as it is
		}
		n, err := block.DecompressedLen(how, packed)
		if err != nil {
			return err
		}
		plain := make([]byte, n)
		if err := block.DecompressInto(how, packed, plain); err != nil {
			return err
		}
		s.Bytes(place+" → block", plain)
	}
	return nil
}

// records returns what is in one of Pebble's logs without what stands between the
// parts of its records; also what an earlier use of the file has left in it.
func records(b []byte) (all []byte) {
	const (
		page   = 32 << 10
		header = 7 // checksum, length, kind
		number = 4 // of the log
		synced = 8 // up to where it was on disk
	)
	for ; len(b) > 0; b = b[min(page, len(b)):] {
		for rest := b[:min(page, len(b))]; len(rest) > header; {
			n, kind, skip := int(binary.LittleEndian.Uint16(rest[4:])), rest[6], header
			switch {
			case kind == 0 || kind > 12:
				skip = len(rest)
			case kind > 8:
				skip += number + synced
			case kind > 4:
				skip += number
			}
			if skip+n > len(rest) {
				break
			}
			all, rest = append(all, rest[skip:skip+n]...), rest[skip+n:]
		}
	}
	return all
}

// sqlite searches all rows of a SQLite file and its write-ahead log, in a copy:
// to open them could change them.
func (s *Search) sqlite(ctx context.Context, place, path string) (err error) {
	dir, err := os.MkdirTemp("", "search-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "copy"+suffix), b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "copy"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tables, err := query(ctx, db, `SELECT name FROM sqlite_master WHERE type = 'table'`)
	if err != nil {
		return err
	}
	for _, table := range tables {
		rows, err := query(ctx, db, `SELECT * FROM "`+string(table)+`"`)
		if err != nil {
			return err
		}
		s.Bytes(place+" → "+string(table), bytes.Join(rows, []byte{0}))
	}
	return nil
}

// query returns all columns of all rows as bytes.
func query(ctx context.Context, db *sql.DB, text string) (all [][]byte, err error) {
	rows, err := db.QueryContext(ctx, text)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		row, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		for _, column := range row {
			all = append(all, bytes.Clone(column))
		}
	}
	return all, rows.Err()
}
