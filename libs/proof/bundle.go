package proof

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/libs/es"
)

// BundleFormat is that of the bundles this package writes and reads.
const BundleFormat = "yimu bundle v1"

// Files of a bundle, a zip archive.
const (
	ManifestFile   = "manifest.json"
	CheckpointFile = "checkpoint"
	LeavesFile     = "leaves" // not compressed

	RotationFolder = "rotations/" // 1, 2, …
	BlobFolder     = "blobs/"     // by SHA-256, hex
	FigureFolder   = "figures/"
	RuleFolder     = "rules/"
	SchemaFolder   = "schemas/"
)

// maxFile bounds every file of a bundle but its leaves, which are never in memory
// as a whole.
const maxFile = 256 << 20

// Manifest says what a bundle holds. It is a claim, and nothing rests on it.
type Manifest struct {
	Format  string      `json:"format"`
	Subject string      `json:"subject"` // whose events it holds: the id of an estate
	Until   es.Position `json:"until"`   // events up to here are in it, and figures are as of here
	Leaves  uint64      `json:"leaves"`  // of the checkpoint
	Events  uint64      `json:"events"`  // of those, how many are in it
	Figures []Figure    `json:"figures"`
	Absent  []Absent    `json:"absent,omitempty"`
	Program string      `json:"program"` // version of what made it
	Made    time.Time   `json:"made"`
}

// Figure is a published figure: what the API answered.
type Figure struct {
	File string `json:"file"`
	Path string `json:"path"` // asked for, from /api/v1 on
}

// Absent is something that could not be put in.
type Absent struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// BundleWriter writes a bundle from its beginning to its end.
type BundleWriter struct{ zip *zip.Writer }

// NewBundleWriter returns a writer of a bundle.
func NewBundleWriter(w io.Writer) *BundleWriter { return &BundleWriter{zip.NewWriter(w)} }

// Leaves begins the file of leaves: [LeavesHead], and then what [AppendHash] and
// [AppendEvent] write. It ends with the next call.
func (b *BundleWriter) Leaves() (io.Writer, error) {
	w, err := b.zip.CreateHeader(&zip.FileHeader{Name: LeavesFile, Method: zip.Store})
	if err != nil {
		return nil, fmt.Errorf("proof: write a bundle: %w", err)
	}
	return w, nil
}

// Add adds a file.
func (b *BundleWriter) Add(name string, content []byte) error {
	w, err := b.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
	if err == nil {
		_, err = w.Write(content)
	}
	if err != nil {
		return fmt.Errorf("proof: write a bundle: %w", err)
	}
	return nil
}

// AddCheckpoint adds a signed checkpoint, and the rotations that lead to its key.
func (b *BundleWriter) AddCheckpoint(signed string, rotations []string) error {
	err := b.Add(CheckpointFile, []byte(signed))
	for i, r := range rotations {
		err = errors.Join(err, b.Add(RotationFolder+strconv.Itoa(i+1), []byte(r)))
	}
	return err
}

// Close adds the manifest, and ends the bundle.
func (b *BundleWriter) Close(m Manifest) error {
	m.Format = BundleFormat
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	if err := b.Add(ManifestFile, append(text, '\n')); err != nil {
		return err
	}
	if err := b.zip.Close(); err != nil {
		return fmt.Errorf("proof: write a bundle: %w", err)
	}
	return nil
}

// Bundle is a bundle that is read.
type Bundle struct {
	Manifest   Manifest
	Checkpoint string // signed
	Rotations  []string

	files map[string]*zip.File
	names []string
}

// OpenBundle reads what a bundle says it is; [Keys.Bundle] checks it.
func OpenBundle(r io.ReaderAt, size int64) (*Bundle, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("proof: not a bundle, or cut off: %w", err)
	}
	b := &Bundle{files: map[string]*zip.File{}}
	for _, f := range archive.File {
		if _, twice := b.files[f.Name]; twice {
			return nil, fmt.Errorf("proof: %q is in the bundle twice: two readers could read two things", f.Name)
		}
		b.files[f.Name], b.names = f, append(b.names, f.Name)
	}
	slices.Sort(b.names)
	text, err := b.File(ManifestFile)
	if err != nil {
		return nil, err
	}
	if err := parse(text, &b.Manifest); err != nil {
		return nil, err
	}
	if b.Manifest.Format != BundleFormat {
		return nil, fmt.Errorf("proof: not a bundle of the form %q", BundleFormat)
	}
	signed, err := b.File(CheckpointFile)
	if err != nil {
		return nil, err
	}
	b.Checkpoint = string(signed)
	for i := range b.Files(RotationFolder) {
		r, err := b.File(RotationFolder + strconv.Itoa(i+1))
		if err != nil {
			return nil, err
		}
		b.Rotations = append(b.Rotations, string(r))
	}
	return b, nil
}

// Files lists the files of a folder, by name.
func (b *Bundle) Files(folder string) (names []string) {
	for _, name := range b.names {
		if strings.HasPrefix(name, folder) && name != folder {
			names = append(names, name)
		}
	}
	return names
}

// File reads a file whole.
func (b *Bundle) File(name string) ([]byte, error) {
	f, ok := b.files[name]
	if !ok {
		return nil, fmt.Errorf("proof: the bundle has no file %q", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("proof: %q in the bundle: %w", name, err)
	}
	defer r.Close()
	var content bytes.Buffer
	n, err := content.ReadFrom(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("proof: %q in the bundle: %w", name, err)
	case n > maxFile:
		return nil, fmt.Errorf("proof: %q in the bundle is too large", name)
	}
	return content.Bytes(), nil
}

// leaves opens the file of leaves.
func (b *Bundle) leaves() (io.ReadCloser, error) {
	f, ok := b.files[LeavesFile]
	if !ok {
		return nil, fmt.Errorf("proof: the bundle has no file %q", LeavesFile)
	}
	return f.Open()
}
