package office

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/services/internal/paper"
)

// Kinds of papers, as they stand in the routes.
const (
	units     = "units"
	titles    = "titles"
	agreement = "agreement"
	budget    = "budget"
	limits    = "limits"
	orders    = "orders"
	vouchers  = "vouchers"
	payments  = "payments"
	meeting   = "meeting"
	ballots   = "ballots"
)

// kindOf is what a paper is told by.
type kindOf struct {
	stem     string // of the file's name
	kind     string
	document bool     // one JSON document, not a table
	needs    []string // papers without which, once refused, this one would be taken wrongly
	against  bool     // its rows are held against what the ledger has of those
}

// known lists the papers in the order in which they are sent: each after those
// that it builds on.
var known = []kindOf{
	{stem: "房屋清册", kind: units},
	{stem: "业主名册", kind: titles, needs: []string{units}},
	{stem: "委托合同", kind: agreement, document: true},
	{stem: "预算", kind: budget},
	{stem: "工单时限", kind: limits},
	{stem: "工单", kind: orders, needs: []string{limits}},
	{stem: "收支凭证", kind: vouchers},
	{stem: "物业费收款", kind: payments, needs: []string{units}, against: true},
	{stem: "会议", kind: meeting, document: true, needs: []string{units, titles}, against: true},
	{stem: "选票", kind: ballots, needs: []string{meeting}, against: true},
}

// Media types by the ending of a file's name.
var mediaTypes = map[string]string{
	".csv":  "text/csv",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".json": "application/json",
}

// file is a paper in a folder.
type file struct {
	kindOf
	name   string
	folder fs.FS
}

// folder is what a folder holds: papers in the order in which they are sent,
// and the names of other files.
type folder struct {
	papers []file
	left   []string
}

// open looks through a folder. It reads no paper yet.
func open(fsys fs.FS) (*folder, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("the folder cannot be read: %w", err)
	}
	f := &folder{}
	found := map[string][]string{}
	for _, e := range entries {
		ext := strings.ToLower(path.Ext(e.Name()))
		stem := strings.TrimSuffix(e.Name(), path.Ext(e.Name()))
		i := slices.IndexFunc(known, func(k kindOf) bool {
			return k.stem == stem && mediaTypes[ext] != "" && k.document == (ext == ".json")
		})
		switch {
		case e.IsDir(), strings.HasPrefix(e.Name(), "."):
		case i < 0:
			f.left = append(f.left, e.Name())
		default:
			found[known[i].kind] = append(found[known[i].kind], e.Name())
		}
	}
	for _, k := range known {
		names := found[k.kind]
		if len(names) > 1 {
			return nil, fmt.Errorf("%s are the same paper; leave only one of them in the folder", strings.Join(names, " and "))
		}
		if len(names) == 0 {
			continue
		}
		p := file{k, names[0], fsys}
		info, err := fs.Stat(fsys, p.name)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s cannot be read: %w", p.name, err)
		case info.Size() == 0:
			return nil, fmt.Errorf("%s is empty; save it again with its rows, or take it out of the folder", p.name)
		case info.Size() > paper.MaxFile:
			return nil, fmt.Errorf("%s has %d MiB; a paper may have %d MiB", p.name, (info.Size()+1<<20-1)>>20, paper.MaxFile>>20)
		}
		f.papers = append(f.papers, p)
	}
	if len(f.papers) == 0 {
		return nil, fmt.Errorf("the folder holds none of the papers: %s", strings.Join(names(), ", "))
	}
	return f, nil
}

// names lists the names that papers have.
func names() (all []string) {
	for _, k := range known {
		ext := ".csv"
		if k.document {
			ext = ".json"
		}
		all = append(all, k.stem+ext)
	}
	return all
}

// find returns the paper of a kind.
func (f *folder) find(kind string) (file, bool) {
	i := slices.IndexFunc(f.papers, func(p file) bool { return p.kind == kind })
	if i < 0 {
		return file{}, false
	}
	return f.papers[i], true
}

// read reads a paper whole.
func (p file) read() ([]byte, error) {
	b, err := fs.ReadFile(p.folder, p.name)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", p.name, err)
	}
	return b, nil
}

// document reads of a JSON paper what the office itself needs of it. What is
// wrong with it is for the server to tell.
func (f *folder) document(kind string) (d document) {
	if p, ok := f.find(kind); ok {
		if b, err := p.read(); err == nil {
			d, _ = paper.ReadJSON[document](b)
		}
	}
	return d
}

type document struct {
	Estate string `json:"estate"`
	Title  string `json:"title"`
	Opens  string `json:"opens"`
}

// estateName is what the papers call the estate; "" where none says.
func (f *folder) estateName() string {
	for _, kind := range []string{agreement, meeting} {
		if name := strings.TrimSpace(f.document(kind).Estate); name != "" {
			return name
		}
	}
	return ""
}

// codeColumn is the unit's code, in every table that speaks of units.
var codeColumn = []paper.Column{{Name: "房屋编号"}}

// codes returns the unit a table names in each row.
// A table that cannot be read names none; why not is for the server to tell.
func (p file) codes() map[int]string {
	b, err := p.read()
	if err != nil {
		return nil
	}
	sheet, err := paper.Read(p.name, b, codeColumn)
	if err != nil {
		return nil
	}
	codes := make(map[int]string, len(sheet.Rows))
	for _, r := range sheet.Rows {
		codes[r.Number] = r.Text(codeColumn[0].Name)
	}
	return codes
}
