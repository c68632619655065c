package service

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/telemetry"
)

// CommandIn is embedded in the input of every command.
type CommandIn struct {
	IdempotencyKey string `header:"Idempotency-Key" required:"true" minLength:"8" maxLength:"200" doc:"Any text, new for every wish and the same for every repeat of it"`
}

// NewRequest describes a command of the caller of ctx. Its commit id is made of
// caller, route, the path asked for and key, so that a repeat is found again
// and nobody can guess it; its hash of commit id and content, which is all that
// the caller stated, usually the body. Events carry the hash for everyone to see,
// so it must not be the same for two who state the same: who knows their own
// ballot would count those that say what it says.
func NewRequest(ctx context.Context, deps Deps, route string, in CommandIn, content any) es.Request {
	path := ""
	if r := requestFrom(ctx); r != nil {
		path = r.path
	}
	commit := deps.Vault.ID("commit", CallerFrom(ctx).ID, route, path, in.IdempotencyKey)
	return newRequest(ctx, deps, commit, text(content), commit.String())
}

// RowRequest describes a command that one row of an imported paper asks for.
// Its caller is the estate and its key the row's identity, so that any later
// import finds the first one; content is what the row says, and its hash is the
// same in every import.
func RowRequest(ctx context.Context, deps Deps, estate, route, key string, content any) es.Request {
	return newRequest(ctx, deps, deps.Vault.ID("commit", "estate:"+estate, route, "", key), text(content))
}

// text is the content of a command as its hash is made of it.
func text(content any) string {
	b, err := json.Marshal(content)
	if err != nil {
		panic("service: content of a command: " + err.Error()) // a type that JSON cannot hold: a mistake in the service
	}
	return string(b)
}

func newRequest(ctx context.Context, deps Deps, commit uuid.UUID, hashed ...string) es.Request {
	req := es.Request{
		Commit:   commit,
		Hash:     hex.EncodeToString(deps.Vault.HMAC("request", hashed...)),
		Actor:    CallerFrom(ctx).ID,
		Happened: deps.Clock().UTC(),
	}
	if r := requestFrom(ctx); r != nil {
		req.Trace, req.Seen = r.trace, r.seen
	}
	return req
}

// ReactionRequest describes a command that a reaction asks for. key is the id
// of the event that caused it, or a deadline's; a reaction that sees it again
// finds what it recorded. Its events carry on the trace of ctx.
func ReactionRequest(ctx context.Context, deps Deps, reaction, key string) es.Request {
	return es.Request{
		Commit:   deps.Vault.ID("commit", "reaction:"+reaction, key),
		Hash:     hex.EncodeToString(deps.Vault.HMAC("request", reaction, key)),
		Actor:    "reaction:" + reaction,
		Cause:    key,
		Happened: deps.Clock().UTC(),
		Trace:    telemetry.Traceparent(ctx),
	}
}

// Recorded answers a command.
type Recorded struct {
	Status   int
	Position string `header:"Yimu-Position" doc:"Where it was recorded; send it with the next request to read what was written"`
	Location string `header:"Location" doc:"Where to ask what became of it (202)"`
	Body     RecordedBody
}

// RecordedBody is what a command's answer says.
type RecordedBody struct {
	ID       string      `json:"id" doc:"Of what the command is about or has created"`
	State    string      `json:"state" enum:"recorded,nothing-to-do,pending" doc:"recorded: durable in the ledger; nothing-to-do: it was so already; pending: not known yet, ask at Location or repeat with the same key"`
	Stream   string      `json:"stream,omitempty"`
	Revision uint64      `json:"revision" doc:"Of the last event recorded"`
	Position es.Position `json:"position" doc:"Of the last event recorded; 0 where there was none"`
	Events   []uuid.UUID `json:"events,omitempty" doc:"Ids of the events recorded"`
	Repeated bool        `json:"repeated,omitempty" doc:"The same request had been recorded before"`
}

// Respond turns what became of a command into its answer: 201 recorded, 200
// nothing to do, 202 not known yet; or an error, which [NewAPI] renders. id is
// of what the command is about.
func Respond[E any](id string, done es.Done[E], err error) (*Recorded, error) {
	var pending *es.PendingError
	switch {
	case errors.As(err, &pending):
		return &Recorded{
			Status:   http.StatusAccepted,
			Location: Prefix + "/operations/" + pending.Stream + "/" + pending.Commit.String(),
			Body:     RecordedBody{ID: id, State: "pending", Stream: pending.Stream},
		}, nil
	case err != nil:
		return nil, err
	case len(done.IDs) == 0:
		return &Recorded{Status: http.StatusOK, Body: RecordedBody{ID: id, State: "nothing-to-do", Stream: done.Stream}}, nil
	}
	return &Recorded{
		Status:   http.StatusCreated,
		Position: strconv.FormatUint(uint64(done.Position), 10),
		Body:     RecordedBody{id, "recorded", done.Stream, done.Revision, done.Position, done.IDs, done.Repeated},
	}, nil
}
