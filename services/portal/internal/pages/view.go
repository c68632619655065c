// Package pages renders what a reader sees: templ components over plain
// models, in Chinese and English, and everything about how numbers are written.
//
// It fetches nothing and decides nothing: it is handed the API's answers. Both
// languages stand side by side where they are used, so that a sentence cannot
// be changed in one alone.
package pages

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"rsc.io/qr"

	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.977 generate

// Lang is the language of a page.
type Lang string

// Languages of the portal.
const (
	Chinese Lang = "zh-CN"
	English Lang = "en"
)

// T chooses between the two languages.
func (l Lang) T(zh, en string) string {
	if l == English {
		return en
	}
	return zh
}

// Reader is who is logged in.
type Reader struct {
	Person string
	Roles  []client.Role
	Units  []client.OwnUnit

	Meeting string // the one whose ballot a voting code opened; "": logged in
}

// May says whether the reader has one of the roles in an estate. It only
// decides what is offered: the API decides what is done.
func (r *Reader) May(estate string, roles ...string) bool {
	if r == nil {
		return false
	}
	return slices.ContainsFunc(r.Roles, func(has client.Role) bool {
		return slices.Contains(roles, has.Role) && (has.Estate == "" || has.Estate == estate)
	})
}

// Operator is who runs this site; law and decency ask for it on a page.
type Operator struct {
	Name       string
	Contact    string // phone or address of the desk
	Complaints string // where a complaint goes, and by when it is answered
	Privacy    string // who is responsible for personal data, and how to reach them
}

// Link is an address with its words.
type Link struct {
	Href, Text string
	Now        bool // there is no such file of the past
}

// View is what every page has around its content.
type View struct {
	Lang      Lang
	Elder     bool
	Title     string
	URI       string // path and query of this page
	Live      string // absolute address of this page, for print
	Reader    *Reader
	Estate    *client.Named // whose tabs are shown
	Tab       string
	Low, High uint64         // positions of the answers behind the page; High 0 for none
	At        uint64         // the position as of which the page is; 0 is now
	Now       uint64         // how far the ledger has been read; 0 where nobody said
	Signed    *client.Signed // how far the log was signed; nil where no answer said
	Silent    bool           // an answer behind the page did not say its position
	Files     []Link         // downloads of what is shown
	Refresh   int            // seconds after which the page asks again; 0 for never
	Scripts   []string
	Narrow    bool
	Figures   bool // the page shows figures of the ledger: say where they are from
}

// T chooses between the two languages.
func (v View) T(zh, en string) string { return v.Lang.T(zh, en) }

// with is this page with one display setting changed. The address only sets the
// setting and leads back here.
func (v View) with(name, value string) string {
	u, err := url.Parse(v.URI)
	if err != nil {
		u = &url.URL{Path: "/"}
	}
	q := u.Query()
	q.Set(name, value)
	return u.Path + "?" + q.Encode()
}

// then is an address as of the position that this page is of.
func (v View) then(address string) string {
	if v.At == 0 {
		return address
	}
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + "at=" + strconv.FormatUint(v.At, 10)
}

// slider is where the one that looks back begins, and its step: it has a few
// hundred, and the last is now.
func (v View) slider() (first, step uint64) {
	const steps = 500
	step = max(v.Now/steps, 1)
	return v.Now - (v.Now-1)/step*step, step
}

// shown is the position that the page is of.
func (v View) shown() uint64 {
	if v.At != 0 {
		return v.At
	}
	return v.Now
}

// estatePath is the address of a page of the estate in view, or the list of
// estates where none is.
func (v View) estatePath(rest string) string {
	if v.Estate == nil {
		return "/"
	}
	return pathOf(v.Estate.ID, rest)
}

// pathOf is the address of a page of an estate.
func pathOf(estate, rest string) string { return "/estates/" + client.Segment(estate) + rest }

// trailOfEstate searches the ledger for the estate in view.
func (v View) trailOfEstate() string {
	if v.Estate == nil {
		return "/trail"
	}
	return query("/trail", "estate", v.Estate.ID)
}

func (v View) login() string { return "/login?" + url.Values{"next": {v.URI}}.Encode() }

// signedEnough says whether what is signed holds all that the page's numbers
// rest on.
func (v View) signedEnough() string {
	if v.Signed.Position >= v.High {
		return v.T("，这些数字都在签名之内。", ", and with it all that these numbers rest on.")
	}
	return v.T("；最后一秒钟的记录还在等下一次签名。", "; what was recorded in the last second waits for the next signature.")
}

func (v View) htmlClass() string {
	if v.Elder {
		return "elder"
	}
	return ""
}

func (v View) mainClass() string {
	if v.Narrow {
		return "narrow"
	}
	return ""
}

func path(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + client.Segment(p))
	}
	return b.String()
}

func query(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func str(n int64) string { return strconv.FormatInt(n, 10) }

// square is a QR code as an SVG path, with the side of its picture in modules.
type square struct{ Side, Path string }

// code draws an address as a QR code; nothing where it is too long for one.
func code(address string) square {
	c, err := qr.Encode(address, qr.M)
	if err != nil {
		return square{}
	}
	const quiet = 4 // modules of white around it, as the standard asks
	var b strings.Builder
	for y := range c.Size {
		for x := 0; x < c.Size; {
			run := 0
			for x+run < c.Size && c.Black(x+run, y) {
				run++
			}
			if run > 0 {
				b.WriteString("M" + strconv.Itoa(x+quiet) + " " + strconv.Itoa(y+quiet) + "h" + strconv.Itoa(run) + "v1h-" + strconv.Itoa(run) + "z")
			}
			x += max(run, 1)
		}
	}
	side := strconv.Itoa(c.Size + 2*quiet)
	return square{"0 0 " + side + " " + side, b.String()}
}

// running is the line on top of every printed sheet: what it is of, and the state of
// the ledger that its numbers rest on.
func (v View) running() string {
	parts := []string{v.Title}
	if v.Estate != nil && v.Estate.Name != v.Title {
		parts = []string{v.Estate.Name, v.Title}
	}
	if v.High > 0 {
		parts = append(parts, v.T("账本位置 ", "ledger position ")+grouped(strconv.FormatUint(v.High, 10)))
	}
	if v.Signed != nil {
		// The second line of a checkpoint is the size of the log, the third its root.
		if lines := strings.Split(v.Signed.Checkpoint, "\n"); len(lines) > 2 {
			parts = append(parts, v.T("检查点 ", "checkpoint ")+lines[1]+" "+lines[2])
		}
	}
	return strings.Join(parts, " · ")
}
