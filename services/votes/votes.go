// Package votes is the service by which owners decide: meetings, their rolls,
// ballots and results (业主大会, Civil Code art. 277–280).
package votes

import (
	"context"

	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/votes/calendar"
	"github.com/yimu-ledger/yimu/services/votes/internal/api"
	"github.com/yimu-ledger/yimu/services/votes/internal/board"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

// Config is what the service needs besides what every service has.
type Config struct {
	// Ready says whether this instance's clock can be trusted with deadlines;
	// nil: always.
	Ready func() bool
	// Holidays is a file of years whose public holidays the program does not know
	// yet, or knows better; see services/votes/calendar. None: only those it knows.
	Holidays string
}

// New builds the service.
func New(ctx context.Context, deps service.Deps, config Config) (*service.Service, error) {
	days, err := calendar.Load(config.Holidays)
	if err != nil {
		return nil, err
	}
	b, err := board.New(ctx, deps.DB, deps.Store, deps.Log)
	if err != nil {
		return nil, err
	}
	c := &closing{deps: deps, board: b, meetings: api.Meetings(deps), calendar: days, ready: config.Ready}
	amend := &amending{deps: deps, board: b, meetings: api.Meetings(deps)}
	routes, handler := service.NewAPI(deps, "votes", b)
	(&api.API{Deps: deps, Board: b, Estates: &estates.Registry{Store: deps.Store}, Calendar: days}).Register(routes)
	return &service.Service{
		Name: "votes", Handler: handler, API: routes,
		Projections: []*readmodel.Runner{b.Runner},
		Run:         []func(context.Context) error{c.run, c.releaseKeys, amend.run},
	}, nil
}

// rulesOf returns the rules that a meeting's notice named; none before it.
func rulesOf(m meeting.Meeting) meeting.RuleSet {
	set, _ := rules.Named(m.Notice)
	return set
}
