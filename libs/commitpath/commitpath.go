// Package commitpath is the way of a commit: from the service that decided it
// through Kafka to the ledger, which appends it, and of the outcome back.
//
//	service ── Client ──▶ commits.<context> ──▶ Appender ──▶ store
//	        ◀─ Client ── outcomes ◀──────────── Appender
//
// [Client] is the services' side and implements es.Committer. [Appender] is the
// ledger's side and the only one that appends. Neither decides anything about
// estates, and nothing is acknowledged before the store has it on disk.
package commitpath

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/telemetry"
)

// OutcomesTopic carries the outcomes of all commits to all instances.
const OutcomesTopic = "outcomes"

// CommitsTopic is the topic of a context's commits, keyed by stream: one
// partition per stream, so one order.
func CommitsTopic(context string) string { return "commits." + context }

// contextOf is the other way round.
func contextOf(topic string) string { return strings.TrimPrefix(topic, CommitsTopic("")) }

// maxSkew is how far an instance's clock may be from the ledger's.
const maxSkew = 2 * time.Second

// heartbeat is how often the ledger tells its time where no outcome does.
const heartbeat = time.Second

// statusTime marks an outcome that only tells the ledger's time.
const statusTime es.Status = "time"

// told is a message of OutcomesTopic.
type told struct {
	es.Outcome
	Signed proof.Signed `json:"signed,omitzero"` // where it tells the time, and the ledger is signed
}

func encodeCommit(c es.Commit) (*message.Message, error) {
	value, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("commitpath: encode commit %s: %w", c.ID, err)
	}
	m := message.NewMessage(watermill.NewUUID(), value)
	m.Metadata.Set(bus.KeyMetadata, c.Stream)
	if len(c.Events) > 0 && bytes.Contains(c.Events[0].Meta, []byte(`"traceparent"`)) {
		if meta, err := es.ParseMeta(c.Events[0].Meta); err == nil && meta.Trace != "" {
			m.Metadata.Set(telemetry.TraceparentKey, meta.Trace)
		}
	}
	return m, nil
}

func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
