//go:build integration

package main

import (
	"log/slog"
	"os"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/yimu-ledger/yimu/libs/es/esdb"
	"github.com/yimu-ledger/yimu/services/yimu/internal/cluster"
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
