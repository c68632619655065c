//go:build integration

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	xtlog "golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/yimu-ledger/yimu/libs/es/esdb"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/telemetry/otlptest"
	"github.com/yimu-ledger/yimu/services/yimu/internal/cluster"
	"github.com/yimu-ledger/yimu/services/yimu/internal/search"
)

// inCluster starts a site of which every service is a process, twice.
func inCluster(t *testing.T) (s *site, restart func(*testing.T) *site) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c := cluster.ForTest(t)
	config := cluster.YimuConfig{
		Binary: yimu(t), Secure: true, Eventstore: os.Getenv("YIMU_TEST_EVENTSTORE"),
		Instances: map[string]int{"portal": 2},
	}
	for _, service := range cluster.Services {
		config.Instances[service] = 2
	}
	var err error
	config.Kafka, err = c.Kafka(t.Context(), cluster.KafkaConfig{Secure: true})
	must(err)
	config.Postgres, err = c.Postgres(t.Context(), cluster.PostgresConfig{})
	must(err)
	y, err := c.Yimu(t.Context(), config)
	must(err)
	store, err := esdb.Open(esdb.Config{ConnectionString: y.Eventstore, Logger: slog.New(slog.DiscardHandler)})
	must(err)
	t.Cleanup(func() { must(store.Close()) })
	s = &site{url: y.URL, store: store, end: store.End, rebuild: y.Rebuild}
	s.token, err = y.Token(t.Context(), "")
	must(err)
	return s, func(t *testing.T) *site {
		t.Helper()
		var g errgroup.Group
		for _, s := range y.All() {
			g.Go(func() error {
				if err := s.Stop(); err != nil {
					return err
				}
				return s.Start(t.Context())
			})
		}
		must(g.Wait())
		return s
	}
}

func TestThePapersOfAnEstateLeadToItsFiguresInACluster(t *testing.T) {
	s, restart := inCluster(t)
	papersLeadToFigures(t, s, restart)
}

// Two ledgers share a log: one appends to it, both serve it.
func TestOthersVerifyTheLogInACluster(t *testing.T) {
	s, restart := inCluster(t)
	var is struct{ Keys []string }
	first := s.receipt(t, s.record(t, "before"))
	s.get(t, "/ledger/log", &is)
	old := s.othersVerify(t, is.Keys[0], xtlog.Tree{}, first)
	s = restart(t)
	receipts := []proof.Receipt{first}
	for i := range 10 {
		receipts = append(receipts, s.receipt(t, s.record(t, fmt.Sprint("after", i))))
	}
	if now := s.othersVerify(t, is.Keys[0], old, receipts...); now.N <= old.N {
		t.Errorf("%d leaves, then %d", old.N, now.N)
	}
}

// TestNobodyCanReadWhoWasErasedInACluster searches all files of a cluster: Kafka's,
// PostgreSQL's, the store's, blobs, and the log of every process. A copy of a key
// may be left in PostgreSQL's write-ahead log, and nowhere else.
func TestNobodyCanReadWhoWasErasedInACluster(t *testing.T) {
	collector := otlptest.Start(t)
	c := cluster.ForTest(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	config := cluster.YimuConfig{
		Binary: yimu(t), Instances: map[string]int{"registry": 2},
		Env: func(string) []string {
			return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.HTTP, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_BSP_SCHEDULE_DELAY=50", "YIMU_LOG=debug"}
		},
	}
	var err error
	config.Kafka, err = c.Kafka(t.Context(), cluster.KafkaConfig{})
	must(err)
	config.Postgres, err = c.Postgres(t.Context(), cluster.PostgresConfig{})
	must(err)
	y, err := c.Yimu(t.Context(), config)
	must(err)
	store, err := esdb.Open(esdb.Config{ConnectionString: y.Eventstore, Logger: slog.New(slog.DiscardHandler)})
	must(err)
	t.Cleanup(func() { must(store.Close()) })
	s := &site{url: y.URL, store: store, end: store.End}
	s.token, err = y.Token(t.Context(), "")
	must(err)

	p := plant(t, s)
	th := p.prepare(t, s, filepath.Join(c.Dir, "keys", "vault.json"))
	for _, id := range p.people {
		s.ask(t, s.token, http.MethodDelete, "/people/"+id+"?ground=own-request", "")
	}
	found := search.New(p.texts()...)
	for _, broker := range config.Kafka.Addrs() {
		topics(t, found, broker)
	}
	for _, process := range y.All() {
		must(process.Stop())
	}
	must(config.Postgres.Stop()) // it writes to its tables what is in memory
	for _, b := range collector.Received() {
		found.Bytes("OTLP", b)
	}
	must(found.Dir(t.Context(), c.Dir))
	for _, hit := range found.Found() {
		t.Error(hit)
	}
	public := search.New(p.estate) // stands in all of it, where the search can see it
	must(public.Dir(t.Context(), c.Dir))
	for _, part := range []string{"kafka", "postgres", "store", "log"} {
		if !slices.ContainsFunc(public.Found(), func(h search.Hit) bool { return strings.HasPrefix(h.Place, part+string(filepath.Separator)) }) {
			t.Errorf("the search sees nothing of what is in %s", part)
		}
	}
	th.gone(t, "the tables of PostgreSQL", filepath.Join(c.Dir, "postgres", "data", "base"))
}

func TestOneTraceLeadsThroughEveryProcessInACluster(t *testing.T) {
	collector := otlptest.Start(t)
	c := cluster.ForTest(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	config := cluster.YimuConfig{
		Binary: yimu(t), Eventstore: os.Getenv("YIMU_TEST_EVENTSTORE"),
		Env: func(string) []string {
			return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.HTTP, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_BSP_SCHEDULE_DELAY=50"}
		},
	}
	var err error
	config.Kafka, err = c.Kafka(t.Context(), cluster.KafkaConfig{})
	must(err)
	config.Postgres, err = c.Postgres(t.Context(), cluster.PostgresConfig{})
	must(err)
	y, err := c.Yimu(t.Context(), config)
	must(err)
	s := &site{url: y.URL}
	s.token, err = y.Token(t.Context(), "")
	must(err)
	spans := s.traced(t, collector, "秀山花园", "PRODUCER send events.registry")
	for of, service := range map[string]string{
		"SERVER POST /api/v1/estates": "registry", "PRODUCER send commits.registry": "registry", "CONSUMER process outcomes": "registry",
		"CONSUMER process commits.registry": "ledger", "CLIENT store append": "ledger", "PRODUCER send events.registry": "ledger",
		"INTERNAL fold registry": "registry", "INTERNAL fold finance": "finance",
	} {
		if got := spans[of].Resource["service.name"]; got != service {
			t.Errorf("%s happened in %q, not in %s", of, got, service)
		}
	}
	if to := spans["CLIENT store append"].Attributes; to["db.system.name"] != "eventstoredb" || to["server.address"] == "" {
		t.Errorf("the store is %v", to)
	}
	for _, process := range y.All() {
		name, _, _ := strings.Cut(process.Name, "-")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+process.Metrics+"/metrics", nil)
		must(err)
		resp, err := http.DefaultClient.Do(req)
		must(err)
		text, err := io.ReadAll(resp.Body)
		must(errors.Join(err, resp.Body.Close()))
		for _, line := range []string{"process_resident_memory_bytes ", `target_info{`, `service_name="` + name + `"`} {
			if !strings.Contains(string(text), line) {
				t.Errorf("%s answers /metrics without %s", process.Name, line)
			}
		}
	}
}
