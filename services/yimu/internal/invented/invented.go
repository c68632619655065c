// Package invented writes the papers of an estate that does not exist, of any
// size, as an office would keep them, and beside them the figures that they must
// lead to. A seed gives the same files, byte by byte, for ever.
//
// The figures are added up here while the papers are written, by the arithmetic
// of the rules and with nothing of the services: expected.json is what an import
// is held against, so it must not come from what it checks.
//
// Nobody is meant: names are numbers behind the word 示例, documents begin with an
// X, and no telephone has a number that begins with 000.
package invented

import (
	"bufio"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Estate says which estate is invented.
type Estate struct {
	Homes int    // at least [Fewest]; everything else grows with them
	Seed  uint64 // another one gives other people, areas, days and choices
}

// Fewest is how small an estate may be: it has a building that a motion is about,
// and another whose owners have no say in it.
const Fewest = 1000

// For sixty homes there are 85 titles, 180 payments and 97 ballots; work orders
// and their share of homes are those of the demonstration estate, in half a year.
const (
	each     = 60
	titles   = 85
	payments = 180
	ballots  = 97
)

// Second is the folder, within that of the estate, of its second meeting: a
// folder holds the papers of one.
const Second = "第二次会议"

// Figures is what the papers of a folder must lead to, as expected.json says it.
type Figures struct {
	Units          int          `json:"units"`
	Homes          int          `json:"homes"`
	Shops          int          `json:"shops"`
	Parking        int          `json:"parking"`
	People         int          `json:"people"`
	Titles         int          `json:"titles"`
	Electorate     Electorate   `json:"electorate"`
	MultiUnitHeads int          `json:"multi_unit_heads"`
	Collection     []Collection `json:"collection"`
	Budget         []Line       `json:"budget"`
	WorkOrders     WorkOrders   `json:"workorders"`
	Meeting
}

// Meeting is what the papers of a meeting lead to.
type Meeting struct {
	Ballots Ballots  `json:"ballots"`
	Motions []Motion `json:"motions"`
}

// Electorate is all heads and their area.
type Electorate struct {
	Heads int   `json:"heads"`
	Area  int64 `json:"area_centi_m2"`
}

// Collection is what a month came to.
type Collection struct {
	Period    string  `json:"period"`
	Billed    int64   `json:"billed_fen"`
	Collected int64   `json:"collected_fen"`
	Rate      float64 `json:"rate_percent_1dp"`
}

// Line is a line of the budget.
type Line struct {
	Direction string `json:"direction"`
	Category  string `json:"category"`
	Planned   int64  `json:"planned_fen"`
	Actual    int64  `json:"actual_fen"`
}

// WorkOrders counts work orders.
type WorkOrders struct {
	Total        int `json:"total"`
	Responded    int `json:"responded"`
	OnTime       int `json:"on_time"`
	Completed    int `json:"completed"`
	Rated        int `json:"rated"`
	Satisfied    int `json:"satisfied"`
	SensorWithin int `json:"sensor_within_10min"`
	Sensor       int `json:"sensor"`
}

// Ballots counts rows of a list of ballots.
type Ballots struct {
	Rows     int            `json:"rows"`
	Accepted int            `json:"accepted"`
	Rejected int            `json:"rejected"`
	Reasons  map[string]int `json:"reasons"`
}

// Motion is what a motion came to.
type Motion struct {
	Motion            string `json:"motion"`
	ElectorateHeads   int    `json:"electorate_heads"`
	ElectorateArea    int64  `json:"electorate_area_centi_m2"`
	ParticipatingHead int    `json:"participating_heads"`
	ParticipatingArea int64  `json:"participating_area_centi_m2"`
	YesHeads          int    `json:"yes_heads"`
	YesArea           int64  `json:"yes_area_centi_m2"`
	NoHeads           int    `json:"no_heads"`
	NoArea            int64  `json:"no_area_centi_m2"`
	AbstainHeads      int    `json:"abstain_heads"`
	Quorum            bool   `json:"quorum_met"`
	Outcome           string `json:"outcome"`
}

// Written is what was written, for whoever wants to know how much that was.
type Written struct {
	Figures
	Payments, Vouchers int // rows
	Second             Meeting
}

// Write writes the papers into a folder, which is made.
func (e Estate) Write(dir string) (Written, error) {
	if e.Homes < Fewest {
		return Written{}, fmt.Errorf("an invented estate has at least %d homes", Fewest)
	}
	if err := os.MkdirAll(filepath.Join(dir, Second), 0o755); err != nil { //nolint:gosec // papers of nobody are for everyone
		return Written{}, err
	}
	w := &writing{Estate: e, dir: dir, rand: rand.New(rand.NewPCG(e.Seed, uint64(e.Homes)))} //nolint:gosec // it must come out the same again
	for _, part := range []func() error{w.units, w.owners, w.money, w.orders, w.meetings} {
		if err := part(); err != nil {
			return Written{}, err
		}
	}
	second := struct {
		Meeting
	}{w.second}
	return Written{w.figures, w.payments, w.vouchers, w.second},
		errors.Join(w.document("expected.json", w.figures), w.document(filepath.Join(Second, "expected.json"), second))
}

// writing is the papers on their way.
type writing struct {
	Estate
	dir  string
	rand *rand.Rand

	estate   []unit
	people   int // so far
	heads    []head
	without  []string // documents of owners who vote for no unit
	figures  Figures
	second   Meeting
	payments int
	vouchers int
}

// table is a list in a file, in the form of spreadsheets: with a mark, so that
// they take it for UTF-8.
type table struct {
	file *os.File
	to   *bufio.Writer
	csv  *csv.Writer
	err  error
}

func (w *writing) table(name string, headings ...string) (*table, error) {
	f, err := os.Create(filepath.Join(w.dir, name))
	if err != nil {
		return nil, err
	}
	t := &table{file: f, to: bufio.NewWriter(f)}
	_, t.err = t.to.WriteString("\ufeff")
	t.csv = csv.NewWriter(t.to)
	t.row(headings...)
	return t, nil
}

func (t *table) row(cells ...string) {
	if t.err == nil {
		t.err = t.csv.Write(cells)
	}
}

func (t *table) close() error {
	t.csv.Flush()
	return errors.Join(t.err, t.csv.Error(), t.to.Flush(), t.file.Close())
}

// document writes a paper that is no table.
func (w *writing) document(name string, content any) error {
	text, err := json.MarshalIndent(content, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.dir, name), append(text, '\n'), 0o644) //nolint:gosec // papers of nobody are for everyone
}

// oneIn is true once in n times.
func (w *writing) oneIn(n int) bool { return w.rand.IntN(n) == 0 }

func pick[T any](w *writing, list ...T) T { return list[w.rand.IntN(len(list))] }

// hundredths writes a number of hundredths: fen as yuan, cm² as m² (㎡).
func hundredths(n int64) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
