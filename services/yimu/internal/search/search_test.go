package search_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/golang/snappy"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/services/yimu/internal/search"
)

const (
	name  = "欧阳查无此人"
	phone = "19912345678"
)

func TestATextIsFoundHoweverItIsWritten(t *testing.T) {
	for _, text := range []string{name, phone} {
		gb, err := simplifiedchinese.GB18030.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		var wide []byte
		for _, unit := range utf16.Encode([]rune(text)) {
			wide = binary.LittleEndian.AppendUint16(wide, unit)
		}
		for as, written := range map[string]string{
			"UTF-8": text, "GB18030": gb, "UTF-16": string(wide), "hex": hex.EncodeToString([]byte(text)), "upper-case hex": fmt.Sprintf("%X", text),
			"base64": base64.StdEncoding.EncodeToString([]byte("x" + text + "yz")), "URL base64": base64.RawURLEncoding.EncodeToString([]byte("??" + text)),
			"a form": url.QueryEscape(text), "JSON in ASCII": strconv.QuoteToASCII(text), "base64 of base64": base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(text + text)))),
			"hex of a form": hex.EncodeToString([]byte("text=" + url.QueryEscape(text) + "&")), "base64 of GB18030": base64.StdEncoding.EncodeToString([]byte(gb)),
			"base64 that is stuck to a word": "label" + base64.StdEncoding.EncodeToString([]byte("to: "+strconv.QuoteToASCII(text))),
		} {
			for _, before := range []string{"", "a", "ab", "一"} {
				if !found(text, []byte(before+written+"c")) {
					t.Errorf("%s as %s after %q is not found", text, as, before)
				}
			}
		}
	}
	if found(name, []byte("欧阳查无其人")) || found(phone, []byte("19912345687")) {
		t.Error("another text is taken for it")
	}
}

func found(text string, b []byte) bool {
	s := search.New(text)
	s.Bytes("here", b)
	return len(s.Found()) > 0
}

func TestATextIsFoundInWhatIsPacked(t *testing.T) {
	pack := func(make func(io.Writer) (io.WriteCloser, error)) func([]byte) []byte {
		return func(b []byte) []byte {
			var out bytes.Buffer
			w, err := make(&out)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return out.Bytes()
		}
	}
	packers := map[string]func([]byte) []byte{
		"gzip":   pack(func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }),
		"zlib":   pack(func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil }),
		"zstd":   pack(func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }),
		"snappy": pack(func(w io.Writer) (io.WriteCloser, error) { return snappy.NewBufferedWriter(w), nil }),
		"snappy of Kafka": func(b []byte) []byte {
			block := snappy.Encode(nil, b)
			out := append([]byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"), 0, 0, 0, 0)
			binary.BigEndian.PutUint32(out[16:], uint32(len(block)))
			return append(out, block...)
		},
		"zip": func(b []byte) []byte {
			var out bytes.Buffer
			w := zip.NewWriter(&out)
			f, err := w.Create("file")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return out.Bytes()
		},
	}
	text := []byte(strings.Repeat("{\"name\":\""+name+"\"} ", 50))
	for of, packed := range packers {
		b := packed(text)
		if len(b) >= len(text)/2 {
			t.Errorf("%s packs nothing, so this tests nothing", of)
		}
		for in, wrap := range packers {
			if !found(name, append([]byte("before "), wrap(append([]byte("head "), b...))...)) {
				t.Errorf("not found in %s in %s", of, in)
			}
		}
		if !found(name, []byte(base64.StdEncoding.EncodeToString(b))) {
			t.Errorf("not found in %s in base64", of)
		}
	}
}

func TestATextIsFoundInWhatASystemKeeps(t *testing.T) {
	dir := t.TempDir()
	ledger := filepath.Join(dir, "ledger")
	data := func(text string) []byte {
		b, err := json.Marshal(map[string]string{"text": text, "padding": strings.Repeat(text, 2000)})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	store := func(text string) {
		t.Helper()
		s, err := pebblestore.Open(pebblestore.Config{Dir: ledger})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Append(t.Context(), "stream-"+uuid.NewString(), 0, es.Proposed{ID: uuid.New(), Type: "t.v1", Data: data(text), Meta: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	const first, second = "in a table of Pebble", "in a log of Pebble"
	store(first)
	store(second) // opening it writes what was in the log into a table

	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "read.db")+"?_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const third = "in a table of SQLite, over many pages"
	for _, statement := range []string{`CREATE TABLE t (v BLOB)`, `INSERT INTO t VALUES ('` + strings.Repeat(third+" ", 1000) + `')`} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	const fourth = "in the name of a file"
	if err := os.WriteFile(filepath.Join(dir, fourth), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	s := search.New(first, second, third, fourth, "nowhere at all")
	if err := s.Dir(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	places := map[string]string{}
	for _, hit := range s.Found() {
		places[hit.Text] += hit.Place + "\n"
	}
	for text, where := range map[string]string{first: ".sst → block", second: ".log → records", third: "read.db → t", fourth: "name of a file"} {
		if !strings.Contains(places[text], where) {
			t.Errorf("%q is found in %q, not in %q", text, places[text], where)
		}
	}
	if places["nowhere at all"] != "" {
		t.Errorf("found what is not there: %s", places["nowhere at all"])
	}
}
