package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/votes/internal/board"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// Headings of the list of ballots (选票).
const (
	headTime     = "时间"
	headChannel  = "渠道"
	headUnit     = "房屋编号"
	headDocument = "证件号"
	headMotion   = "议题"
	headChoice   = "选择"
)

var ballotColumns = []paper.Column{
	{Name: headTime, Required: true}, {Name: headChannel, Required: true}, {Name: headUnit, Optional: true},
	{Name: headDocument, Required: true, Personal: true}, {Name: headMotion, Required: true}, {Name: headChoice, Required: true, Personal: true},
}

// registerPapers adds the papers of a meeting of the past: the meeting itself
// (会议.json), and its ballots (选票).
func (a *API) registerPapers(api huma.API) {
	paper.Take(api, a.Deps, a.Estates, a.Board, "meeting", func(ctx context.Context, in *paper.In, _ *paper.Progress) (*paper.Report, error) {
		if err := a.Allow(ctx, actPast, estateResource(in.Estate)); err != nil {
			return nil, err
		}
		return a.importMeeting(ctx, in)
	})

	op := service.Command("import-ballots", http.MethodPost, "/estates/{estate}/papers/ballots", "Import a paper: ballots")
	op.MaxBodyBytes, op.BodyReadTimeout, op.DefaultStatus = paper.MaxFile, -1, http.StatusOK
	huma.Register(api, op, func(ctx context.Context, in *struct {
		paper.In
		Meeting string `query:"meeting" format:"uuid" doc:"whose ballots they are; not needed where the estate has one meeting of the past at their time"`
	}) (*huma.StreamResponse, error) {
		for _, action := range []string{actImport, actPast} {
			if err := a.Allow(ctx, action, estateResource(in.Estate)); err != nil {
				return nil, err
			}
		}
		if err := a.Estates.Check(ctx, in.Estate); err != nil {
			return nil, err
		}
		return in.Answer("ballots", a.Clock, a.Log, func(ctx context.Context, p *paper.Progress) (*paper.Report, error) {
			if err := paper.Fresh(ctx, a.Board); err != nil {
				return nil, err
			}
			return a.importBallots(ctx, &in.In, in.Meeting, p)
		}), nil
	})
}

// meetingPaper is 会议.json.
type meetingPaper struct {
	Title   string       `json:"title"`
	Notice  string       `json:"notice_posted"`
	Opens   string       `json:"opens"`
	Closes  string       `json:"closes"`
	Policy  votes.Policy `json:"policy"`
	Motions []MotionIn   `json:"motions"`

	votes.Convened
}

// window reads the times of the paper, as an office writes them: RFC 3339, or
// without a zone, which is Shanghai's then.
func (p meetingPaper) window() (w Window, err error) {
	var wrong []problem.Field
	for _, f := range []struct {
		name, text string
		to         *time.Time
	}{{"notice_posted", p.Notice, &w.At}, {"opens", p.Opens, &w.Opens}, {"closes", p.Closes, &w.Closes}} {
		ok := false
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04"} {
			if t, err := time.ParseInLocation(layout, f.text, units.Shanghai); err == nil && !ok {
				*f.to, ok = t, true
			}
		}
		if !ok {
			wrong = append(wrong, problem.Field{Name: f.name, Code: "not-a-time", Detail: "is not a time such as 2023-01-14T09:00:00+08:00"})
		}
	}
	if len(wrong) > 0 {
		err = problem.Invalid("meeting-wrong", "a meeting has its times", wrong...)
	}
	return w, err
}

// importMeeting enters a meeting that was held: drafts it, freezes its roll as
// titles stand, and posts its notice. Interrupted, it goes on where it stopped.
func (a *API) importMeeting(ctx context.Context, in *paper.In) (*paper.Report, error) {
	p, err := paper.ReadJSON[meetingPaper](in.RawBody)
	if err != nil {
		return nil, err
	}
	report := paper.NewReport("meeting", &paper.Sheet{File: in.FileName()})
	report.Rows = 1
	steps, id, err := a.steps(ctx, in.Estate, p)
	if problems, ok := errors.AsType[*problem.Error](err); ok {
		return wrong(report, problems), nil
	}
	if err != nil || in.DryRun {
		return report, err
	}
	changed := false
	var at es.Position
	for _, s := range steps {
		req := service.RowRequest(ctx, a.Deps, in.Estate, "meeting", id+"/"+s.name, s.content)
		req.Past = true
		done, err := a.meetings.Do(ctx, id, req, s.command)
		if errors.Is(err, es.ErrKeyReused) {
			return wrong(report, problem.Conflict("meeting-changed", "the ledger holds this meeting with other motions, policies or times")), nil
		}
		if err != nil {
			return nil, err
		}
		changed = changed || len(done.IDs) > 0 && !done.Repeated
		at = max(at, done.Position)
	}
	if changed {
		report.Record(at)
	} else {
		report.Same(at)
	}
	return report, nil
}

// wrong is the report on a paper that was refused whole.
func wrong(report *paper.Report, p *problem.Error) *paper.Report {
	fields := p.Fields
	if len(fields) == 0 {
		fields = []problem.Field{{Code: p.Code, Detail: p.Detail}}
	}
	for _, f := range fields {
		report.Errors = append(report.Errors, paper.RowError{Row: 1, Column: f.Name, Code: p.Code, Reason: f.Detail})
	}
	report.Rejected = 1
	report.Whole()
	return report
}

// step is one of the commands that enter a meeting.
type step struct {
	name    string
	content any
	command es.Command[meeting.Meeting, votes.Event]
}

// steps decides all commands once, so that a paper that is wrong anywhere
// changes nothing; those that the ledger holds already are left to it.
func (a *API) steps(ctx context.Context, estate string, p meetingPaper) ([]step, string, error) {
	window, err := p.window()
	if err != nil {
		return nil, "", err
	}
	set, _, err := a.inForce(ctx, estate, window.At)
	if err != nil {
		return nil, "", err
	}
	if set.ID == "" {
		return nil, "", meeting.ErrNoRules
	}
	id := uuid.NewSHA1(uuid.MustParse(estate), []byte("meeting/"+p.Title+"/"+window.Opens.UTC().Format(time.RFC3339))).String()
	held, _, err := a.meetings.Load(ctx, id)
	if err != nil {
		return nil, "", err
	}
	described := Draft{Title: p.Title, Policy: p.Policy, Motions: p.Motions, Convened: p.Convened}
	draft, err := a.drafting(ctx, described, id, estate, true, set)
	if err != nil {
		return nil, "", err
	}
	list := []step{{"draft", described, draft}}
	m := held
	if !held.Drafted() {
		if m, err = decided(m, draft); err != nil {
			return nil, "", err
		}
	}
	freeze := meeting.FreezeRoll{RollFrozen: held.Roll}
	if !held.Frozen() {
		if freeze, err = a.roll(ctx, m); err != nil {
			return nil, "", err
		}
		if m, err = decided(m, freeze); err != nil {
			return nil, "", err
		}
	}
	notice, err := a.postNotice(ctx, m, window)
	if err != nil {
		return nil, "", err
	}
	if !held.Posted() {
		if _, err = decided(m, notice); err != nil {
			return nil, "", err
		}
	}
	return append(list, step{"roll", nil, freeze}, step{"notice", window, notice}), id, nil
}

func decided(m meeting.Meeting, c es.Command[meeting.Meeting, votes.Event]) (meeting.Meeting, error) {
	events, err := c.Decide(m)
	for _, e := range events {
		m = meeting.Evolve(m, e)
	}
	return m, err
}

// ballotRow is one row of the list of ballots: one choice on one motion.
type ballotRow struct {
	row      *paper.Row
	at       time.Time
	channel  string
	document string
	choice   votes.Choice

	entry  votes.Entry
	reason votes.Reason // why there is no entry
	voter  string       // names the stream where there is none
}

// readBallot reads a row, and notes in it what is wrong.
func readBallot(r *paper.Row) *ballotRow {
	return &ballotRow{
		row: r, at: r.Time(headTime).UTC(), channel: r.OneOf(headChannel, votes.Electronic, votes.Paper, votes.InMeeting), document: r.Text(headDocument),
		choice: votes.Choice{Motion: r.Text(headMotion), Choice: r.Text(headChoice)},
	}
}

// importBallots enters the ballots of a meeting of the past, each row by itself
// and those of one head in order of time. When all rows went in the meeting is
// closed; rows that a rule refuses are no mistake of the paper.
func (a *API) importBallots(ctx context.Context, in *paper.In, id string, p *paper.Progress) (*paper.Report, error) {
	sheet, err := paper.Read(in.FileName(), in.RawBody, ballotColumns)
	if err != nil {
		return nil, err
	}
	rows := make([]*ballotRow, 0, len(sheet.Rows))
	for _, r := range sheet.Rows {
		if b := readBallot(r); r.OK() {
			rows = append(rows, b)
		}
	}
	report := paper.NewReport("ballots", sheet)
	report.Check(sheet)
	if in.DryRun { // also where the meeting itself was only checked
		return report, nil
	}
	slices.SortStableFunc(rows, func(x, y *ballotRow) int { return x.at.Compare(y.at) })
	box, err := a.pastMeeting(ctx, in.Estate, id, rows)
	if err != nil {
		return nil, err
	}
	if err := a.identify(ctx, in.Estate, box, rows); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	cast := map[string]bool{}
	groups := paper.Group(rows, func(b *ballotRow) string { return b.entry.Entry + "/" + b.voter })
	err = paper.Run(ctx, groups, paper.Workers, p, func(ctx context.Context, b *ballotRow) error {
		ballot, done, err := a.importBallot(ctx, in.Estate, box, b)
		if err != nil {
			if err = b.row.Refuse("", err); err == nil {
				report.Reject(b.row)
			}
			return err
		}
		paper.Tally(report, done)
		if reason := refused(done.Events); reason != "" {
			report.Refuse(string(reason))
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		cast[ballot] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := a.settle(ctx, box.Meeting, cast, report); err != nil {
		return nil, err
	}
	if report.Rejected > 0 {
		return report, nil
	}
	meetingID := box.Meeting.Meeting
	done, err := a.meetings.Do(ctx, meetingID, service.RowRequest(ctx, a.Deps, in.Estate, "ballots", meetingID+"/close", nil), meeting.CloseVoting{Now: a.Clock()})
	report.Position = max(report.Position, done.Position)
	return report, err
}

// importBallot enters one row, which is known again by its content.
func (a *API) importBallot(ctx context.Context, estate string, box *board.Box, b *ballotRow) (string, es.Done[votes.Event], error) {
	key := strings.Join([]string{box.Meeting.Meeting, b.at.Format(time.RFC3339Nano), b.channel, b.document, b.choice.Motion, b.choice.Choice}, "/")
	req := service.RowRequest(ctx, a.Deps, estate, "ballots", key, key)
	req.Past = true
	id := newID(req)
	d := a.record(ctx, req, b.entry.Entry, box.Meeting.Meeting, b.voter, meeting.CastBallot{
		Ballot: id, Meeting: box.Meeting, Entry: b.entry, NoEntry: b.reason, Channel: b.channel, At: b.at, Choices: []votes.Choice{b.choice},
	})
	return id, d.Done, d.err
}

// identify finds the entries of the voters by their documents.
func (a *API) identify(ctx context.Context, estate string, box *board.Box, rows []*ballotRow) error {
	documents := make([]string, len(rows))
	for i, b := range rows {
		documents[i] = b.document
	}
	people, err := a.Vault.PeopleByDocument(ctx, documents)
	if err != nil {
		return err
	}
	for _, b := range rows {
		person := people[b.document]
		b.entry, b.reason = box.Of(person)
		if b.entry.Entry != "" {
			continue
		}
		if b.voter = person; person == "" { // nobody we know, and who it is we do not keep
			b.voter = a.Vault.ID("voter", estate, b.document).String()
		}
	}
	return nil
}

// settle reports which of the rows that were taken do not count after all,
// because of other ballots of the same head.
func (a *API) settle(ctx context.Context, m meeting.Meeting, cast map[string]bool, report *paper.Report) error {
	const patience = time.Minute
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := a.Board.WaitFor(wait, report.Position); err != nil {
		return errors.Join(err, problem.Unavailable("not-caught-up", "all rows are in, but not counted yet; import the paper again"))
	}
	return a.Board.EachHead(ctx, m, func(head []board.Ballot) error {
		for _, b := range head {
			for _, reason := range b.Reasons {
				if cast[b.Ballot] && reason != "" {
					report.Refuse(string(reason))
				}
			}
		}
		return nil
	})
}

// pastMeeting finds the meeting that ballots belong to: the one that is named,
// or the estate's only one of the past, or the only one at the time of the
// first row.
func (a *API) pastMeeting(ctx context.Context, estate, id string, rows []*ballotRow) (*board.Box, error) {
	if id == "" {
		all, err := a.Board.Meetings(ctx, estate)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(m meeting.Meeting) bool { return !m.Past || !m.Posted() })
		if len(all) > 1 && len(rows) > 0 {
			first := rows[0].at
			all = slices.DeleteFunc(all, func(m meeting.Meeting) bool { return first.Before(m.Notice.At) || first.After(m.Notice.Closes) })
		}
		if len(all) != 1 {
			return nil, problem.Conflict("which-meeting", "say which meeting of the past the ballots belong to")
		}
		id = all[0].Meeting
	}
	box, err := a.box(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case box.Estate != estate:
		return nil, meeting.ErrNoMeeting
	case !box.Past:
		return nil, meeting.ErrStatedTime
	case !box.Posted():
		return nil, meeting.ErrNoNotice
	}
	return box, nil
}
