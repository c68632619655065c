package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/yimu-ledger/yimu/libs/problem"
)

// Report says what became of a list that was handed in, row by row.
type Report struct {
	File      string     `json:"file"`
	Rows      int        `json:"rows"`
	Recorded  int        `json:"recorded"`
	Unchanged int        `json:"unchanged"` // the ledger held them already
	Rejected  int        `json:"rejected"`
	Errors    []RowError `json:"errors"`
	Mistakes  int        `json:"mistakes"`         // how many errors there are in all
	Unknown   []string   `json:"unknown_headings"` // columns that were left alone
	Position  uint64     `json:"position"`
	Code      string     `json:"code"` // rows-wrong where the list was refused whole
}

// RowError is what is wrong with a row; row 0 is the list itself.
type RowError struct {
	Row    int    `json:"row"`
	Column string `json:"column"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// DeliverRound records a round of deliveries (送达) of a meeting's notice. Each row is
// recorded once, however often the list is sent.
func (c *Client) DeliverRound(ctx context.Context, who Caller, estate, meeting, name string, file []byte) (Report, error) {
	at := base + "/estates/" + Segment(estate) + "/papers/deliveries?" + url.Values{"meeting": {meeting}}.Encode()
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, at, bytes.NewReader(file))
	if err != nil {
		return Report{}, err
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Yimu-File-Name", url.PathEscape(name))
	req.Header.Set("Authorization", "Bearer "+who.Token)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return Report{}, errors.Join(problem.Unavailable("service-unreachable", "the service that answers this cannot be reached"), err)
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Report{}, fmt.Errorf("reading the report on a list: %w", err)
	}
	var report Report
	if err := json.Unmarshal(read, &report); err == nil && (resp.StatusCode == http.StatusOK || report.Code == "rows-wrong") {
		return report, nil // a list that was refused whole is answered with its report, too
	}
	return Report{}, refusal(resp.StatusCode, read)
}
