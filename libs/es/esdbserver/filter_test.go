package esdbserver

import (
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/yimu-ledger/yimu/libs/es"
)

func FuzzFilter(f *testing.F) {
	f.Add(`^[^\$].*`, "meeting-", true)
	f.Add(`^(?!(\$.+$|Result$))`, "", false)
	f.Add(`^(?!`, "$", true)
	f.Fuzz(func(t *testing.T, expression, prefix string, byStream bool) {
		for _, e := range []*streams.ReadReq_Options_FilterOptions_Expression{{Regex: expression}, {Prefix: []string{prefix, "a-"}}} {
			o := &streams.ReadReq_Options_FilterOptions{Filter: &streams.ReadReq_Options_FilterOptions_EventType{EventType: e}}
			if byStream {
				o.Filter = &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: e}
			}
			filter, err := parseFilter(o)
			if err != nil {
				continue
			}
			for _, name := range []string{"a-1", prefix, "$x", ""} {
				recorded := es.Recorded{Stream: name, Type: name}
				if match := filter.matches(recorded); e.Regex == "" && match != (strings.HasPrefix(name, prefix) || strings.HasPrefix(name, "a-")) {
					t.Errorf("%q by prefix %q: %v", name, prefix, match)
				}
			}
		}
	})
}
