package office

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/width"
)

// Write tells a person what became of an import: a table of the papers, then
// every mistake by row and column.
func (r *Result) Write(w io.Writer) {
	switch {
	case r.Founded:
		fmt.Fprintf(w, "%s (%s), new in the ledger\n", r.Name, r.Estate)
	case r.Absent && r.DryRun:
		fmt.Fprintf(w, "%s (%s) is not in the ledger yet\n", r.Name, r.Estate)
	case r.Name != "":
		fmt.Fprintf(w, "%s (%s)\n", r.Name, r.Estate)
	}
	if r.DryRun {
		fmt.Fprintln(w, "The papers were only checked; nothing was changed.")
	}
	r.table(w)
	for _, f := range r.Files {
		f.mistakes(w)
	}
	if len(r.Posted) > 0 {
		fmt.Fprintf(w, "Posted: %s.\n", strings.Join(r.Posted, ", "))
	}
	if len(r.Left) > 0 {
		fmt.Fprintf(w, "Left alone, as no paper is called so: %s.\n", strings.Join(r.Left, ", "))
	}
}

// table writes one line for each paper, and one for each reason of a refusal.
func (r *Result) table(w io.Writer) {
	if len(r.Files) == 0 {
		return
	}
	head := []string{"file", "rows", "recorded", "unchanged", "wrong", "refused"}
	if r.DryRun {
		head = []string{"file", "rows", "wrong"}
	}
	lines := [][]string{head}
	for _, f := range r.Files {
		switch {
		case f.Report == nil:
			lines = append(lines, []string{f.Name})
		case r.DryRun:
			lines = append(lines, []string{f.Name, strconv.Itoa(f.Report.Rows), strconv.Itoa(f.Report.Rejected)})
		default:
			lines = append(lines, []string{
				f.Name, strconv.Itoa(f.Report.Rows), strconv.Itoa(f.Report.Recorded), strconv.Itoa(f.Report.Unchanged),
				strconv.Itoa(f.Report.Rejected), strconv.Itoa(f.refused()),
			})
		}
	}
	first := 0
	for _, line := range lines {
		first = max(first, columns(line[0]))
	}
	for i, line := range lines {
		text := line[0] + strings.Repeat(" ", first-columns(line[0]))
		for j, cell := range line[1:] {
			text += "  " + fmt.Sprintf("%*s", max(6, len(head[j+1])), cell)
		}
		if i > 0 {
			text += r.remark(r.Files[i-1])
		}
		fmt.Fprintln(w, strings.TrimRight(text, " "))
	}
}

// remark says beside the figures what they do not.
func (r *Result) remark(f File) string {
	switch {
	case f.Report == nil && r.DryRun:
		return "  not checked: " + f.NotSent
	case f.Report == nil:
		return "  not sent: " + f.NotSent
	case f.Report.Code != "":
		return "  refused whole, nothing of it was changed"
	case f.refused() == 0:
		return ""
	}
	reasons := slices.SortedFunc(maps.Keys(f.Report.Refused), func(a, b string) int {
		return cmp.Or(f.Report.Refused[b]-f.Report.Refused[a], cmp.Compare(a, b))
	})
	for i, reason := range reasons {
		reasons[i] += " " + strconv.Itoa(f.Report.Refused[reason])
	}
	return "  " + strings.Join(reasons, ", ")
}

// refused counts the rows that a rule refused.
func (f File) refused() (n int) {
	for _, rows := range f.Report.Refused {
		n += rows
	}
	return n
}

func (f File) mistakes(w io.Writer) {
	if f.Report == nil {
		return
	}
	if len(f.Report.Unknown) > 0 {
		fmt.Fprintf(w, "%s: left alone, as no column is called so: %s\n", f.Name, strings.Join(f.Report.Unknown, ", "))
	}
	for _, e := range f.Report.Errors {
		place := ""
		if e.Row > 0 {
			place += fmt.Sprintf(" row %d", e.Row)
		}
		if e.Column != "" {
			if place != "" {
				place += ","
			}
			place += " column " + e.Column
		}
		fmt.Fprintf(w, "%s%s: %s\n", f.Name+",", cmp.Or(place, " the file"), e.Reason)
	}
	if more := f.Report.Mistakes - len(f.Report.Errors); more > 0 {
		fmt.Fprintf(w, "%s: and %d more\n", f.Name, more)
	}
}

// columns is how wide a terminal shows a text: most Chinese characters take two.
func columns(s string) (n int) {
	for _, c := range s {
		switch width.LookupRune(c).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
