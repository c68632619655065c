package invented

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// digest is a hash of all files that a seed gives, with their names.
func digest(t *testing.T, e Estate) (string, Written) {
	t.Helper()
	dir := t.TempDir()
	written, err := e.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		_, _ = sum.Write(append([]byte(path+"\n"), text...)) // a hash takes everything
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil)), written
}

func TestASeedGivesTheSameFilesAndAnotherOneOthers(t *testing.T) {
	first, _ := digest(t, Estate{Fewest, 1})
	if again, _ := digest(t, Estate{Fewest, 1}); again != first {
		t.Error("the same seed gave other files")
	}
	if other, _ := digest(t, Estate{Fewest, 2}); other == first {
		t.Error("another seed gave the same files")
	}
}

func TestAnEstateOfSixtyThousandHomesHasAsManyPapersAsItIsSaidTo(t *testing.T) {
	if _, w := digest(t, Estate{60_000, 1}); w.Homes != 60_000 || w.Titles != 85_000 || w.Payments != 180_000 ||
		w.Ballots.Rows+w.Second.Ballots.Rows != 97_000 {
		t.Errorf("%d homes, %d titles, %d payments, %d and %d ballots", w.Homes, w.Titles, w.Payments, w.Ballots.Rows, w.Second.Ballots.Rows)
	}
}

func TestAnEstateHasEveryKindOfOwnerAndOfBallot(t *testing.T) {
	_, w := digest(t, Estate{Fewest, 1})
	if w.MultiUnitHeads < 2 || w.Titles == w.Units || w.People <= w.Electorate.Heads {
		t.Errorf("no owners of several units, co-owners, or owners without a vote: %+v", w.Figures)
	}
	reasons := map[string]int{}
	for _, b := range []Ballots{w.Ballots, w.Second.Ballots} {
		for reason, n := range b.Reasons {
			reasons[reason] += n
		}
	}
	for _, reason := range strings.Fields("already-voted superseded electronic-ballot-stands paper-ballot-stands voting-not-open voting-closed " +
		"not-on-the-roll not-the-representative not-in-scope no-such-motion no-such-choice") {
		if reasons[reason] == 0 {
			t.Errorf("no ballot is refused as %s", reason)
		}
	}
}

func TestAnEstateWithoutASecondBuildingIsNotInvented(t *testing.T) {
	if _, err := (Estate{Fewest - 1, 1}).Write(t.TempDir()); err == nil {
		t.Error("it was")
	}
}
