package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/votes/internal/board"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// registerProxies adds the routes by which an owner lets another vote (委托).
func (a *API) registerProxies(api huma.API) {
	a.mandates = es.Repo[meeting.Mandates, votes.Event]{
		Store: a.Store, Committer: a.Committer, Prefix: votes.ProxyStream, Codec: votes.Codec, Evolve: meeting.EvolveMandates,
	}
	huma.Register(api, service.Command("grant-proxy", http.MethodPost, "/meetings/{meeting}/proxies", "Let another person cast an owner's ballot"), a.grantProxy)
	huma.Register(api, service.Command("revoke-proxy", http.MethodPost, "/meetings/{meeting}/proxies/revoked", "Revoke that"), a.revokeProxy)
	huma.Register(api, service.Command("cast-proxy-ballot", http.MethodPost, "/meetings/{meeting}/proxy-ballots", "Cast the ballot of an owner whose mandate one holds"), a.castByProxy)
	own := service.Query("own-proxies", "/me/proxies", "Mandates that the caller holds, was refused, or has granted")
	own.Security = []map[string][]string{{"token": {}}}
	huma.Register(api, own, a.listProxies)
}

// Proxy is a mandate as it is asked for.
type Proxy struct {
	Entry        string         `json:"entry,omitempty" maxLength:"20" doc:"whose ballot; the office states it, an owner leaves it out"`
	Unit         string         `json:"unit,omitempty" maxLength:"60" doc:"or, by the office, a unit that it votes for"`
	Holder       string         `json:"holder,omitempty" maxLength:"60" doc:"id of the person who is to cast it"`
	HolderUnit   string         `json:"holder_unit,omitempty" maxLength:"60" doc:"or the code of the unit they vote for, of the same estate"`
	HolderPaper  string         `json:"holder_document,omitempty" maxLength:"60" doc:"or the number of their document, as the written mandate has it; only for the office. It is not recorded"`
	Document     string         `json:"document,omitempty" maxLength:"64" doc:"SHA-256 of the scan of the written mandate, in hex; the office must have one"`
	Instructions []votes.Choice `json:"instructions,omitempty" maxItems:"100" doc:"how to vote, item by item; sealed until the ballots are opened"`
}

// granting is who asks for something about an owner's mandate, and which owner.
type granting struct {
	box     *board.Box
	entry   votes.Entry
	written bool // by the office, from a writing
}

// proxyOf asks whether the caller may do an action to the mandate of an entry or,
// where none is named, of their own.
func (a *API) proxyOf(ctx context.Context, id, number, action string) (g granting, err error) {
	if g.box, err = a.box(ctx, id); err != nil {
		return g, err
	}
	of := resource(g.box.Meeting)
	if g.written = number != ""; g.written {
		if err := a.Allow(ctx, action, of); err != nil {
			return g, err
		}
		g.entry, err = entryOf(g.box, number)
		return g, err
	}
	person, err := voter(ctx)
	if err != nil {
		return g, err
	}
	of.Person = person
	if err := a.Allow(ctx, action, of); err != nil {
		return g, err
	}
	entry, reason := g.box.Of(person)
	if entry.Entry == "" {
		return g, problem.Conflict(string(reason), words[reason])
	}
	g.entry = entry
	return g, nil
}

var errNoHolder = problem.Invalid("no-such-person", "it is not known who is to vote for the owner",
	problem.Field{Name: "holder", Code: "unknown", Detail: "must be a person who is known here, by their id, the unit they vote for or, at the office, their document"})

// holder finds who is to hold a mandate.
func (a *API) holder(ctx context.Context, g granting, p Proxy) (person string, err error) {
	switch {
	case p.HolderUnit != "":
		titles, err := a.Board.Titles(ctx, g.box.Estate, p.HolderUnit)
		if err != nil {
			return "", err
		}
		if i := slices.IndexFunc(titles, func(t registry.Title) bool { return t.Votes || len(titles) == 1 }); i >= 0 {
			return titles[i].Person, nil
		}
	case p.HolderPaper != "" && g.written:
		id, known, err := a.Vault.PersonByDocument(ctx, p.HolderPaper)
		if err != nil || known {
			return id, err
		}
	case p.Holder != "" && len(p.Holder) <= 60:
		known, err := a.Vault.Knows(ctx, vault.PersonKey(p.Holder))
		if err != nil || known {
			return p.Holder, err
		}
	}
	return "", errNoHolder
}

func (a *API) grantProxy(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body Proxy
}) (*service.Recorded, error) {
	number, err := a.entryNumber(ctx, in.Meeting, in.Body.Entry, in.Body.Unit)
	if err != nil {
		return nil, err
	}
	g, err := a.proxyOf(ctx, in.Meeting, number, actGrant)
	if err != nil {
		return nil, err
	}
	person, err := a.holder(ctx, g, in.Body)
	if err != nil {
		return nil, err
	}
	own, err := a.isOwn(ctx, g.box, g.entry.Entry, person)
	if err != nil {
		return nil, err
	}
	set := a.rulesOf(g.box.Meeting)
	req := service.NewRequest(ctx, a.Deps, "grant-proxy", in.CommandIn, in.Body)
	id := newID(req)
	grant := meeting.GrantProxy{
		Proxy: id, Meeting: g.box.Meeting, Entry: g.entry, Holder: person, Own: own, At: req.Happened,
		Written: g.written, Document: in.Body.Document, ItemByItem: set.Proxies.Instructions, Instructions: in.Body.Instructions,
	}
	if len(in.Body.Instructions) > 0 {
		sealed, err := a.seal(ctx, g.box, id, in.Body.Instructions)
		if err != nil {
			return nil, err
		}
		grant.Sealed = codec.Sealed(sealed)
		for _, m := range a.marks(g.box, g.entry, id, in.Body.Instructions, nil) {
			if slices.ContainsFunc(in.Body.Instructions, func(c votes.Choice) bool { return c.Motion == m.Motion }) {
				grant.Marks = append(grant.Marks, m)
			}
		}
	}
	// What cannot be a mandate takes none of the holder's.
	state, _, err := a.ballots.Load(ctx, in.Meeting+"-"+g.entry.Entry)
	if err != nil {
		return nil, err
	}
	if _, err := grant.Decide(state); err != nil && state.Mandate.Proxy != id {
		return nil, err
	}
	taking := service.NewRequest(ctx, a.Deps, "take-mandate", in.CommandIn, in.Body)
	taken, err := a.mandates.Do(ctx, in.Meeting+"-"+person, taking, meeting.TakeMandate{
		Proxy: id, Meeting: g.box.Meeting, Entry: g.entry.Entry, Holder: person, At: req.Happened, Cap: set.Proxies.Cap,
		Barred: a.barred(person, g.box.Estate, set),
	})
	if err != nil {
		return nil, err
	}
	for _, e := range taken.Events {
		if r, ok := e.(votes.ProxyRefused); ok {
			return nil, problem.Conflict(string(r.Reason), words[r.Reason])
		}
	}
	req.Seen = max(req.Seen, taken.Position)
	d := a.record(ctx, req, g.entry.Entry, in.Meeting, "", grant)
	return service.Respond(id, d.Done, d.err)
}

// barred says whether the rules let a person hold no mandate, for a role they hold.
func (a *API) barred(person, estate string, set meeting.RuleSet) bool {
	who := a.Access.Principal(person)
	return slices.ContainsFunc(set.Proxies.Barred, func(role string) bool { return who.Has(role, estate) })
}

func (a *API) revokeProxy(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Entry    string `json:"entry,omitempty" maxLength:"20" doc:"whose mandate; the office states it, an owner leaves it out"`
		Unit     string `json:"unit,omitempty" maxLength:"60" doc:"or, by the office, a unit that it votes for"`
		Document string `json:"document,omitempty" maxLength:"64" doc:"SHA-256 of the scan of the written revocation, in hex; the office must have one"`
	}
}) (*service.Recorded, error) {
	number, err := a.entryNumber(ctx, in.Meeting, in.Body.Entry, in.Body.Unit)
	if err != nil {
		return nil, err
	}
	g, err := a.proxyOf(ctx, in.Meeting, number, actRevoke)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "revoke-proxy", in.CommandIn, in.Body)
	d := a.record(ctx, req, g.entry.Entry, in.Meeting, "", meeting.RevokeProxy{
		Meeting: g.box.Meeting, At: req.Happened, Written: g.written, Document: in.Body.Document,
	})
	if d.err != nil {
		return nil, d.err
	}
	var id string
	for _, event := range d.Events {
		if e, ok := event.(votes.ProxyRevoked); ok {
			id = e.Proxy
			returning := service.NewRequest(ctx, a.Deps, "return-mandate", in.CommandIn, in.Body)
			returning.Seen = max(returning.Seen, d.Position)
			_, err := a.mandates.Do(ctx, in.Meeting+"-"+e.Holder, returning, meeting.ReturnMandate{Proxy: e.Proxy, Meeting: in.Meeting, Entry: e.Entry, Holder: e.Holder})
			if err != nil {
				return nil, err // repeated, it goes on here
			}
		}
	}
	return service.Respond(id, d.Done, nil)
}

func (a *API) castByProxy(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Entry   string         `json:"entry" minLength:"1" maxLength:"20" doc:"of the owner"`
		Choices []votes.Choice `json:"choices" minItems:"1" maxItems:"100"`
	}
}) (*BallotOut, error) {
	box, err := a.box(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	person, err := voter(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.Allow(ctx, actCast, authz.Resource{Type: "Meeting", ID: in.Meeting, Estate: box.Estate, Person: person}); err != nil {
		return nil, err
	}
	if box.Past {
		return nil, meeting.ErrPastPaper
	}
	entry, err := entryOf(box, in.Body.Entry)
	if err != nil {
		return nil, err
	}
	state, _, err := a.ballots.Load(ctx, in.Meeting+"-"+entry.Entry)
	if err != nil {
		return nil, err
	}
	mandate := state.Mandate
	if mandate.Proxy == "" || mandate.Holder != person {
		return nil, meeting.ErrNoMandate
	}
	set := a.rulesOf(box.Meeting)
	req := service.NewRequest(ctx, a.Deps, "cast-proxy-ballot", in.CommandIn, in.Body)
	return answer(a.take(ctx, req, box, meeting.CastBallot{
		Entry: entry, Channel: votes.Electronic, At: req.Happened, Choices: in.Body.Choices, Partial: box.Partial(set),
		Proxy: mandate.Proxy, Barred: a.barred(person, box.Estate, set), Marks: a.marks(box, entry, mandate.Proxy, in.Body.Choices, nil),
	}, ""))
}

// OwnProxy is a mandate that concerns the caller.
type OwnProxy struct {
	Meeting  string       `json:"meeting"`
	Title    string       `json:"title"`
	Entry    string       `json:"entry" doc:"whose ballot it is"`
	Units    []string     `json:"units"`
	Holder   bool         `json:"holder" doc:"the caller is to cast it; otherwise another person for the caller"`
	State    string       `json:"state" enum:"granted,revoked,refused"`
	Reason   votes.Reason `json:"reason,omitempty" doc:"why it was refused"`
	At       *time.Time   `json:"at,omitempty"`
	Stream   string       `json:"stream"`
	Revision uint64       `json:"revision"`
}

func (a *API) listProxies(ctx context.Context, _ *struct{}) (*service.Items[OwnProxy], error) {
	person, err := voter(ctx)
	if err != nil {
		return nil, err
	}
	list, err := a.Board.Mandates(ctx, person)
	if err != nil {
		return nil, err
	}
	out := &service.Items[OwnProxy]{}
	out.Body.Items = []OwnProxy{}
	returned := map[string]bool{} // the newest come first
	for _, m := range list {
		p := OwnProxy{Meeting: m.Meeting.Meeting, Title: m.Meeting.Title, Stream: m.Stream, Revision: m.Revision}
		switch e := m.Event.(type) {
		case votes.MandateTaken:
			p.Entry, p.Holder, p.State, p.At = e.Entry, e.Holder == person, "granted", &e.At
			if returned[e.Proxy] {
				p.State = "revoked"
			}
		case votes.ProxyRefused:
			p.Entry, p.Holder, p.State, p.Reason, p.At = e.Entry, e.Holder == person, "refused", e.Reason, &e.At
		case votes.MandateReturned:
			returned[e.Proxy] = true
			continue
		default: // nothing else is in these streams
			continue
		}
		number, err := strconv.Atoi(p.Entry)
		if err != nil {
			return nil, err
		}
		posted, err := a.posted(ctx, p.Meeting, number)
		if err != nil {
			return nil, err
		}
		p.Units = posted.Units
		out.Body.Items = append(out.Body.Items, p)
	}
	return out, nil
}
