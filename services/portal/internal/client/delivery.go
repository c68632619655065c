package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// Telling is how far the owners were told of a notice.
type Telling struct {
	All      Electorate `json:"all"`
	Reached  []Way      `json:"reached"`
	Warned   Electorate `json:"warned"`
	Failed   Electorate `json:"failed"`
	Untried  Electorate `json:"untried"`
	Displays []Display  `json:"displays"`
}

// Way is how many were told in one way.
type Way struct {
	Channel string `json:"channel"`
	Electorate
}

// Display is a place where a notice stands.
type Display struct {
	Place  string    `json:"place"`
	Photo  string    `json:"photo"`
	From   units.Day `json:"from"`
	Until  units.Day `json:"until"`
	Warned bool      `json:"warned"`
	Over   bool      `json:"over"`
}

// Deliveries is how the owners were told, one by one and by building.
type Deliveries struct {
	Items     []Delivery `json:"items"`
	Next      string     `json:"next"`
	Buildings []struct {
		Building string `json:"building"`
		Telling
	} `json:"buildings"`
}

// Delivery is how one owner was told.
type Delivery struct {
	Entry   string        `json:"entry"`
	Units   []string      `json:"units"`
	Area    units.CentiM2 `json:"area_centi_m2"`
	State   string        `json:"state"` // reached, failed, untried
	Reached *struct {
		Channel string    `json:"channel"`
		At      time.Time `json:"at"`
		Warned  bool      `json:"warned"`
	} `json:"reached"`
	Failed []struct {
		Channel string    `json:"channel"`
		At      time.Time `json:"at"`
		Why     string    `json:"why"`
		Next    string    `json:"next"`
	} `json:"failed"`
}

// Letter is what one letter says that the others do not.
type Letter struct {
	Number int           `json:"number"`
	Of     int           `json:"of"`
	Entry  string        `json:"entry"`
	Units  []string      `json:"units"`
	Area   units.CentiM2 `json:"area_centi_m2"`
	Name   string        `json:"name"`
	Code   string        `json:"code"`
}

// ErrLetters says that the letters broke off before their end.
var ErrLetters = errors.New("client: the letters broke off")

// Letters has the letters of a meeting made, and calls f with each as it comes.
// The client must be one that does not hold answers back, see [Piped].
func (c *Client) Letters(ctx context.Context, who Caller, meeting, key string, body any, f func(Letter) error) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/meetings/"+Segment(meeting)+"/letters", bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Authorization", "Bearer "+who.Token)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		read, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return err
		}
		return refusal(resp.StatusCode, read)
	}
	for lines := json.NewDecoder(resp.Body); ; {
		var line struct {
			Letter
			Done bool `json:"done"`
		}
		switch err := lines.Decode(&line); {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrLetters, err)
		case line.Done:
			return nil
		}
		if err := f(line.Letter); err != nil {
			return err
		}
	}
}

// OpenBallot exchanges the voting code of a letter for a token that votes in the
// meeting and does nothing else.
func (c *Client) OpenBallot(ctx context.Context, meeting, code string) (person, token string, err error) {
	encoded, err := json.Marshal(map[string]string{"code": code, "meeting": meeting})
	if err != nil {
		return "", "", err
	}
	resp, err := c.do(context.WithoutCancel(ctx), Caller{}, http.MethodPost, "/sessions", "", encoded)
	if err != nil {
		return "", "", err
	}
	var out struct{ Person, Token string }
	err = json.Unmarshal(resp.body, &out)
	return out.Person, out.Token, err
}
