package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// actSetAside is the action of changing what is counted, as the policies name it.
const actSetAside = "ballot.set-aside"

func (a *API) registerRecount(api huma.API) {
	at := "/meetings/{meeting}/ballots/{ballot}"
	huma.Register(api, service.Command("set-ballot-aside", http.MethodPost, at+"/set-aside", "Count a ballot no more, for an upheld objection to the result that was withdrawn; the meeting is counted again"), a.setAside)
	huma.Register(api, service.Command("restore-ballot", http.MethodPost, at+"/restoration", "Count a ballot again that was set aside, for another upheld objection"), a.restore)
}

// BallotIn names a ballot of a meeting.
type BallotIn struct {
	MeetingIn
	Ballot string `path:"ballot" format:"uuid"`
}

// SetAsideOut is a ballot that counts no more.
type SetAsideOut struct {
	Ballot    string    `json:"ballot"`
	Entry     string    `json:"entry" doc:"of the roll"`
	At        time.Time `json:"at"`
	Objection string    `json:"objection" doc:"that was upheld"`
	Earlier   string    `json:"earlier,omitempty" enum:"stands,falls" doc:"what becomes of the other ballot of this entry that would count in its place; absent: there is none"`
	Reason    string    `json:"reason"`
}

// Whose is what both commands say of a ballot.
type Whose struct {
	Entry     string `json:"entry" maxLength:"20" doc:"of the roll"`
	Objection string `json:"objection" format:"uuid" doc:"The objection that was upheld"`
	Reason    string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why; everyone can read it for ever, so it names nobody"`
}

func (a *API) setAside(ctx context.Context, in *struct {
	service.CommandIn
	BallotIn
	Body struct {
		Whose
		Earlier string `json:"earlier,omitempty" enum:"stands,falls" doc:"Where another ballot of this entry would count in its place: whether it does. It stands where the one set aside never was the owner's"`
	}
}) (*service.Recorded, error) {
	return a.do(ctx, in.Meeting, "set-ballot-aside", actSetAside, in.CommandIn, in.Body, func(m meeting.Meeting, now time.Time) (command, error) {
		cmd := meeting.SetBallotAside{At: now, Entry: in.Body.Entry, Ballot: in.Ballot, Earlier: in.Body.Earlier, Reason: in.Body.Reason}
		var err error
		if cmd.Objection, _, err = a.objections.Load(ctx, in.Meeting+"-"+in.Body.Objection); err != nil || !m.Countable() {
			return cmd, err // and is refused
		}
		number, err := strconv.Atoi(in.Body.Entry)
		if err != nil || number < 1 {
			return nil, meeting.ErrNoBallot
		}
		list, err := a.Board.Ballots(ctx, m, number, number)
		for _, b := range list {
			if b.Taken != nil {
				cmd.Taken = append(cmd.Taken, *b.Taken)
			}
		}
		return cmd, err
	})
}

func (a *API) restore(ctx context.Context, in *struct {
	service.CommandIn
	BallotIn
	Body Whose
}) (*service.Recorded, error) {
	return a.do(ctx, in.Meeting, "restore-ballot", actSetAside, in.CommandIn, in.Body, func(_ meeting.Meeting, now time.Time) (command, error) {
		cmd := meeting.RestoreBallot{At: now, Entry: in.Body.Entry, Ballot: in.Ballot, Reason: in.Body.Reason}
		var err error
		cmd.Objection, _, err = a.objections.Load(ctx, in.Meeting+"-"+in.Body.Objection)
		return cmd, err
	})
}
