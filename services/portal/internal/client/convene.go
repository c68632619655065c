package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/yimu-ledger/yimu/libs/problem"
)

// Days are what the rules leave to a meeting that has no notice yet.
type Days struct {
	Wrong     []problem.Field `json:"wrong"`
	RuleSet   string          `json:"rule_set"`
	Notice    time.Time       `json:"notice"`    // first instant at which it may be posted
	NoticeBy  *time.Time      `json:"notice_by"` // the last one, for the opening that was asked about
	Opens     time.Time       `json:"opens"`     // first instant at which voting may open
	Closes    *time.Time      `json:"closes"`    // first instant at which it may close; nil: the rules give no shortest time
	ClosesBy  *time.Time      `json:"closes_by"` // the last one; nil: they give no longest time
	Deadlines []Deadline      `json:"deadlines"`
}

// Place is whom a motion may be put to: estate, building:5 or stair:5-1.
type Place struct {
	Scope string `json:"scope"`
}

// CheckMeeting asks whether a meeting could be drafted as it is, and held on its
// days. Nothing is recorded.
func (c *Client) CheckMeeting(ctx context.Context, who Caller, estate string, plan any) (Days, error) {
	var out Days
	body, err := json.Marshal(plan)
	if err != nil {
		return out, err
	}
	answer, err := c.do(ctx, who, http.MethodPost, "/estates/"+Segment(estate)+"/meetings/check", "", body)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(answer.body, &out); err != nil {
		return out, fmt.Errorf("answer to a check of a meeting: %w", err)
	}
	return out, nil
}
