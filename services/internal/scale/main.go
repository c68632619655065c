// Command scale computes what a city of five million homes asks of yimu, and
// writes it into docs/scale.md: go run ./services/internal/scale
//
// What is measured, what is taken from the public record and what is assumed
// stands in inputs.go. city.go multiplies. peak.go simulates, event by event,
// ballots on their way through Kafka, the ledger and the store, with seeds, so
// that the same page comes out each time. It knows nothing that the code does
// not do, and it measures nothing by itself, but for
//
//	go run ./services/internal/scale -measure http://127.0.0.1:8080
//
// which prints demonstration.csv from the ledger of a running system.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
)

func main() {
	page := flag.String("page", "../../../docs/scale.md", "the page to write")
	measure := flag.String("measure", "", "address of a system whose events are to be measured instead")
	flag.Parse()
	err := error(nil)
	if *measure != "" {
		err = measureEvents(context.Background(), os.Stdout, *measure)
	} else {
		err = write(*page)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale: "+err.Error())
		os.Exit(1)
	}
}

func write(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	out, err := fill(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(out), 0o644) //nolint:gosec // a page is for everyone
}

var place = regexp.MustCompile(`(?s)<!-- computed: ([a-z]+) -->\n(.*?)<!-- end -->`)

// fill puts every part in its place.
func fill(text string) (string, error) {
	var errs []error
	seen := map[string]bool{}
	text = place.ReplaceAllStringFunc(text, func(old string) string {
		name := place.FindStringSubmatch(old)[1]
		part, ok := parts[name]
		if !ok || seen[name] {
			errs = append(errs, fmt.Errorf("there is one part %q at most", name))
			return old
		}
		seen[name] = true
		return "<!-- computed: " + name + " -->\n" + part() + "<!-- end -->"
	})
	for name := range parts {
		if !seen[name] {
			errs = append(errs, fmt.Errorf("the part %q has no place", name))
		}
	}
	return text, errors.Join(errs...)
}

// measureEvents prints what events of each type hold on average.
func measureEvents(ctx context.Context, w io.Writer, address string) error {
	type page struct {
		Items []struct {
			Position     uint64
			Stream, Type string
			Data, Meta   json.RawMessage
		}
		Next uint64
	}
	sizes := map[string]*size{}
	for after := uint64(0); ; {
		var p page
		if err := get(ctx, fmt.Sprintf("%s/api/v1/ledger/events?limit=1000&after=%d", address, after), &p); err != nil {
			return err
		}
		for _, e := range p.Items {
			s := sizes[e.Type]
			if s == nil {
				s = &size{}
				sizes[e.Type] = s
			}
			s.events++
			s.data += float64(len(e.Data))
			s.meta += float64(len(e.Meta))
			s.names += float64(len(e.Stream) + len(e.Type))
			s.store += float64(e.Position - after) // pebblestore counts bytes
			after = e.Position
		}
		if p.Next == 0 {
			break
		}
	}
	fmt.Fprintln(w, "type,events,data,metadata,names,store")
	var names []string
	for name := range sizes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(sizes[b].events, sizes[a].events), cmp.Compare(a, b)) })
	for _, name := range names {
		s := sizes[name]
		fmt.Fprintf(w, "%s,%.0f,%.0f,%.0f,%.0f,%.0f\n", name, s.events, s.data/s.events, s.meta/s.events, s.names/s.events, s.store/s.events)
	}
	return nil
}

func get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
