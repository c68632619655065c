package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

// actAdopt is the action, as the policies name it.
const actAdopt = "rules.adopt"

func procedures(d service.Deps) es.Repo[meeting.Procedure, votes.Event] {
	return es.Repo[meeting.Procedure, votes.Event]{Store: d.Store, Committer: d.Committer, Prefix: votes.ProcedureStream, Codec: votes.Codec, Evolve: meeting.EvolveProcedure}
}

// registerRules adds the routes of the rules by which estates decide.
func (a *API) registerRules(api huma.API) {
	a.procedures = procedures(a.Deps)
	huma.Register(api, service.Query("rule-sets", "/rules", "The rule sets of the law, national and of places, line by line, each with its source"), a.listRules)
	huma.Register(api, service.Query("estate-rules", "/estates/{estate}/rules", "By which rules an estate decides: each line with its source and whether it is national, of the place or the estate's own"), a.getRules)
	huma.Register(api, service.Command("adopt-rules", http.MethodPost, "/estates/{estate}/rules", "Adopt the rules of a place, and what the estate's rules of procedure ask for beyond them"), a.adoptRules)
}

// LineOut is a line of a rule set.
type LineOut struct {
	Name   string          `json:"name" doc:"as rule sets name it, e.g. notice_days or thresholds.special"`
	Value  json.RawMessage `json:"value" doc:"a number, a word, yes or no, or a threshold or matter"`
	Source string          `json:"source" doc:"the law and article, or the article of the estate's rules of procedure"`
	Basis  string          `json:"basis" enum:"read,seen" doc:"whether the text was read, or only seen where others quote it"`
	Note   string          `json:"note,omitempty"`
	Origin string          `json:"origin,omitempty" enum:"national,local,estate"`
}

// linesOf returns the lines of a rule set by name. A file of older notices has one
// source for several lines; it says its sources as they are.
func linesOf(set meeting.RuleSet) ([]LineOut, error) {
	lines, err := set.Lines()
	list := make([]LineOut, 0, len(lines))
	for _, s := range set.Sources {
		if l, ok := lines[s.Of]; ok {
			list = append(list, LineOut{Name: s.Of, Value: l.Value, Source: l.Source, Basis: l.Basis, Note: l.Note, Origin: l.Origin})
		}
	}
	return list, err
}

// RuleSetOut is a rule set of the law.
type RuleSetOut struct {
	ID    string        `json:"id"`
	Place string        `json:"place"`
	Name  meeting.Words `json:"name"`
	From  units.Day     `json:"from"`
	Until units.Day     `json:"until,omitempty" doc:"first day no longer in force"`
	Hash  string        `json:"hash" doc:"SHA-256 of the file"`
	Kind  string        `json:"kind" enum:"national,local,older" doc:"older: found by its hash where a notice names it, and in force no more"`
	Lines []LineOut     `json:"lines"`
}

func (a *API) listRules(context.Context, *struct{}) (*service.Items[RuleSetOut], error) {
	out := &service.Items[RuleSetOut]{}
	for _, set := range rules.All() {
		lines, err := linesOf(set)
		if err != nil {
			return nil, err
		}
		out.Body.Items = append(out.Body.Items, RuleSetOut{
			ID: set.ID, Place: set.Place, Name: set.Name, From: set.From, Until: set.Until, Hash: set.Hash, Kind: rules.Kind(set), Lines: lines,
		})
	}
	return out, nil
}

// EstateRules are the rules by which an estate decides.
type EstateRules struct {
	Body struct {
		RuleSet string             `json:"rule_set" doc:"id, as the notice of a meeting names it"`
		Hash    string             `json:"rule_hash" doc:"SHA-256 of all lines as JSON, a public blob once a notice names it"`
		Place   string             `json:"place"`
		Name    meeting.Words      `json:"name"`
		Day     units.Day          `json:"day" doc:"on which they are in force"`
		Parts   []meeting.RulePart `json:"parts" doc:"what they are made of, the widest first"`
		Adopted *AdoptedOut        `json:"adopted,omitempty" doc:"absent: the estate has adopted nothing, so the national rules are in force"`
		Next    *AdoptedOut        `json:"next,omitempty" doc:"what was adopted for a later day"`
		Lines   []LineOut          `json:"lines"`
		Missing []string           `json:"missing" doc:"lines that nobody gives: law, place and estate say nothing of them"`
		lookback.Bound
	}
}

// AdoptedOut is what an estate adopted.
type AdoptedOut struct {
	From     units.Day `json:"from"`
	At       time.Time `json:"at"`
	Base     string    `json:"base,omitempty" doc:"rules of a place"`
	Document string    `json:"document,omitempty" doc:"hash of the public blob: the rules of procedure in full"`
}

func adoptedOut(e votes.RulesAdopted) *AdoptedOut {
	return &AdoptedOut{e.From, e.At, e.Base, e.Document}
}

func (a *API) getRules(ctx context.Context, in *struct {
	estates.In
	lookback.AtIn
}) (*EstateRules, error) {
	if err := a.Estates.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	view, err := a.Board.MeetingsAt(ctx, in.Estate, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	p, err := view.Tables.Procedure(ctx, in.Estate)
	if err != nil {
		return nil, err
	}
	day := units.DayOf(a.now(view))
	adopted, ok := p.On(day)
	set, known := rules.Of(adopted, day)
	if !known {
		return nil, meeting.ErrNoRules
	}
	out := &EstateRules{}
	b := &out.Body
	b.RuleSet, b.Hash, b.Place, b.Name, b.Day, b.Parts = set.ID, set.Hash, set.Place, set.Name, day, set.Parts
	b.Bound = lookback.Bind(a.Deps, view.Position)
	if ok {
		b.Adopted = adoptedOut(adopted)
	}
	if n := len(p.Adopted); n > 0 && p.Adopted[n-1].From > day {
		b.Next = adoptedOut(p.Adopted[n-1])
	}
	b.Lines, err = linesOf(set)
	b.Missing = []string{}
	for _, name := range meeting.LineNames() {
		if !slices.ContainsFunc(b.Lines, func(l LineOut) bool { return l.Name == name || strings.HasPrefix(l.Name, name+".") }) {
			b.Missing = append(b.Missing, name)
		}
	}
	return out, err
}

// RuleLineIn is a line of an estate's rules of procedure.
type RuleLineIn struct {
	Name    string          `json:"name" minLength:"1" maxLength:"100" doc:"as rule sets name it, e.g. notice_days"`
	Value   json.RawMessage `json:"value" doc:"e.g. 20"`
	Article string          `json:"article" minLength:"1" maxLength:"200" doc:"where in the document the line stands"`
}

func (a *API) adoptRules(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
	Body struct {
		From     units.Day    `json:"from" format:"date" doc:"notices of this day and later name these rules; today or later"`
		Base     string       `json:"base,omitempty" maxLength:"100" doc:"id of the rules of a place, see /rules; none: the national rules alone"`
		Document string       `json:"document,omitempty" maxLength:"200000" doc:"the rules of procedure in full, as text; everyone can read them for ever, so they name nobody"`
		Lines    []RuleLineIn `json:"lines,omitempty" maxItems:"100" doc:"what they ask for beyond the law and the rules of the place"`
	}
}) (*service.Recorded, error) {
	if err := a.Allow(ctx, actAdopt, estateResource(in.Estate)); err != nil {
		return nil, err
	}
	if err := a.Estates.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "adopt-rules", in.CommandIn, in.Body)
	cmd := meeting.AdoptRules{RulesAdopted: votes.RulesAdopted{Estate: in.Estate, At: req.Happened, From: in.Body.From, Base: in.Body.Base}}
	cmd.National, _ = rules.National(in.Body.From) // none: the command refuses
	if in.Body.Base != "" {
		cmd.Place, _ = rules.Template(in.Body.Base, "")
		cmd.BaseHash = cmd.Place.Hash
	}
	for _, l := range in.Body.Lines {
		cmd.Lines = append(cmd.Lines, votes.RuleLine{Name: l.Name, Value: meeting.CompactValue(l.Value), Article: l.Article})
	}
	if in.Body.Document != "" {
		var err error
		if cmd.Document, err = a.Blobs.Put(ctx, []byte(in.Body.Document)); err != nil {
			return nil, err
		}
	}
	if set, ok := rules.Of(cmd.RulesAdopted, cmd.From); ok { // else the command refuses
		if err := a.postRules(ctx, set); err != nil {
			return nil, err
		}
	}
	d, err := a.procedures.Do(ctx, in.Estate, req, cmd)
	return service.Respond(in.Estate, d, err)
}

// inForce returns the effective rules of an estate at an instant, and what of them
// it adopted. Without an id there are none, and the commands refuse.
func (a *API) inForce(ctx context.Context, estate string, at time.Time) (meeting.RuleSet, votes.RulesAdopted, error) {
	p, _, err := a.procedures.Load(ctx, estate)
	if err != nil {
		return meeting.RuleSet{}, votes.RulesAdopted{}, err
	}
	day := units.DayOf(at)
	adopted, _ := p.On(day)
	set, _ := rules.Of(adopted, day)
	return set, adopted, nil
}

var errRuleBlob = errors.New("api: a blob is not named by its SHA-256")

// postRules makes a rule set a public blob of the hash that notices name.
func (a *API) postRules(ctx context.Context, set meeting.RuleSet) error {
	hash, err := a.Blobs.Put(ctx, set.Canonical())
	if err == nil && hash != set.Hash {
		err = errRuleBlob
	}
	return err
}
