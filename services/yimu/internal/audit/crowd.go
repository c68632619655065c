package audit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/yimu/internal/load"
)

// Crowd is people who cast ballots and a clerk's desk that records payments, at
// a steady pace. Some vote from two phones at once, some send again what has
// long been answered.
type Crowd struct {
	Journal *Journal
	Booth   *load.Booth
	Site    load.Site
	Voters  int     // how many cast ballots at a time
	Clerks  int     // how many record payments at a time
	Pace    float64 // commands a second, of all together; 0 is as many as go

	mu       sync.Mutex
	away     chan struct{} // closed when the pause ends; nil where there is none
	busy     int           // those with a command under way
	ballots  int           // voters who were asked, through all meetings
	payments int
	number   int
	done     []*Command // that some will send again
}

// hasty is how long a client waits for an answer before it takes the connection
// for dead.
const hasty = 10 * time.Second

// Skip leaves out the first of the voters, through all meetings. It is called
// before Run.
func (c *Crowd) Skip(voters int) { c.ballots = voters }

// Run asks until ctx ends. Its error says that it has nothing more to ask.
func (c *Crowd) Run(ctx context.Context) error {
	client := &http.Client{Timeout: hasty, Transport: &http.Transport{MaxIdleConnsPerHost: c.Voters + c.Clerks}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for i := range c.Voters + c.Clerks {
		next := c.ballot
		if i >= c.Voters {
			next = c.payment
		}
		all.Go(func() { c.work(ctx, cancel, client, next) })
	}
	all.Wait()
	return context.Cause(ctx)
}

func (c *Crowd) work(ctx context.Context, end context.CancelCauseFunc, client *http.Client, next func() *Command) {
	for c.turn(ctx) {
		command := c.again(next)
		if command == nil {
			end(fmt.Errorf("audit: all %d voters have voted", c.ballots))
		} else {
			c.insist(ctx, client, command)
		}
		c.mu.Lock()
		c.busy--
		c.mu.Unlock()
	}
}

// turn waits for the pace and for the end of a pause, and counts as busy.
func (c *Crowd) turn(ctx context.Context) bool {
	wait := time.Duration(0)
	if c.Pace > 0 {
		wait = time.Duration(2 * rand.Float64() * float64(c.Voters+c.Clerks) / c.Pace * float64(time.Second))
	}
	if pause.For(ctx, wait) != nil {
		return false
	}
	for {
		c.mu.Lock()
		away := c.away
		if away == nil {
			c.busy++
			c.mu.Unlock()
			return true
		}
		c.mu.Unlock()
		select {
		case <-away:
		case <-ctx.Done():
			return false
		}
	}
}

// Pause lets nobody send anything new, and waits until every command has its
// final answer, or ctx ends.
func (c *Crowd) Pause(ctx context.Context) {
	c.mu.Lock()
	c.away = make(chan struct{})
	c.mu.Unlock()
	for {
		c.mu.Lock()
		busy := c.busy
		c.mu.Unlock()
		if busy == 0 || pause.For(ctx, 5*time.Millisecond) != nil {
			return
		}
	}
}

// Resume ends a pause.
func (c *Crowd) Resume() {
	c.Journal.Gap()
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.away)
	c.away = nil
}

// insist sends a command until it has its final answer. Every other one that is
// told that nothing will happen is given up.
func (c *Crowd) insist(ctx context.Context, client *http.Client, command *Command) {
	givesUp := rand.IntN(2) == 0
	for wait := 50 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, time.Second) {
		status, body := c.send(ctx, client, command)
		if ctx.Err() != nil {
			return
		}
		if c.Journal.Answer(command, status, body) || givesUp && c.Journal.Drop(command) {
			return
		}
		_ = pause.For(ctx, wait)
	}
}

// send returns a status of 0 where the connection broke.
func (c *Crowd) send(ctx context.Context, client *http.Client, command *Command) (status int, body []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Site.URL()+service.Prefix+command.Path, bytes.NewReader([]byte(command.Body)))
	if err != nil {
		return 0, nil
	}
	req.GetBody = nil // the client would repeat it by itself
	req.Header.Set("Authorization", "Bearer "+command.Token)
	req.Header.Set("Idempotency-Key", command.Key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err = io.ReadAll(resp.Body); err != nil {
		return 0, nil
	}
	return resp.StatusCode, body
}

// again is a command that was answered before, now and then, or the next.
func (c *Crowd) again(next func() *Command) *Command {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.done) > 0 && rand.IntN(10) == 0 {
		if command := c.done[rand.IntN(len(c.done))]; c.Journal.Again(command) {
			return command
		}
	}
	command := next()
	if command == nil {
		return nil
	}
	c.number++
	command.Key = "crowd-" + strconv.Itoa(c.number) + "-" + command.Key
	c.done = append(c.done, command)
	if len(c.done) > 1000 {
		c.done = c.done[500:]
	}
	c.Journal.Begin(command)
	return command
}

// recent says how many of the last are taken up again from another phone.
const recent = 8

// ballot is that of a new voter, or another one of a voter who is just voting,
// or has.
func (c *Crowd) ballot() *Command {
	voter, choice := c.ballots, votes.Yes
	if c.ballots > 0 && rand.IntN(5) == 0 {
		voter, choice = c.ballots-1-rand.IntN(min(recent, c.ballots)), votes.No
	} else if c.ballots++; c.ballots > len(c.Booth.Meetings)*len(c.Booth.Tokens) {
		return nil
	}
	meeting, voter := voter/len(c.Booth.Tokens), voter%len(c.Booth.Tokens)
	r := c.Booth.Ballot(meeting, voter, "ballot", choice)
	return &Command{
		Request: r, Kind: "ballot", Value: choice + " " + strconv.Itoa(c.number),
		Register: "the ballot of voter " + strconv.Itoa(voter) + " in meeting " + strconv.Itoa(meeting),
	}
}

// payment is a new one, or one that is just being recorded: the same, or another
// amount under its reference.
func (c *Crowd) payment() *Command {
	number, fen := c.payments, 10_000
	if c.payments > 0 && rand.IntN(5) == 0 {
		number, fen = c.payments-1-rand.IntN(min(recent, c.payments)), 10_000+rand.IntN(2)
	} else {
		c.payments++
	}
	reference := "R" + strconv.Itoa(number)
	return &Command{
		Request: c.Booth.Payment(number%len(c.Booth.Tokens), "payment", reference, fen), Kind: "payment",
		Register: "the payment " + reference, Value: strconv.Itoa(fen),
	}
}
