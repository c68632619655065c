package access

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/yimu-ledger/yimu/libs/service"
)

// SessionStore keeps sessions; the vault's Sessions is one. It keeps tokens
// hashed and data encrypted.
type SessionStore interface {
	FindCtx(ctx context.Context, token string) (data []byte, found bool, err error)
	CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error
	DeleteCtx(ctx context.Context, token string) error
}

const (
	sessionLife = 12 * time.Hour
	// remembered is how long a session that was found is not looked up again,
	// so how long one that was ended in another process may still be used.
	remembered = 5 * time.Second
	maxCached  = 20_000 // sessions in memory
)

// Sessions are the log-ins of people: a token that acts as a person until it is
// ended or 12 hours have passed. Any process with the same vault knows them.
type Sessions struct {
	store SessionStore
	clock service.Clock

	mu    sync.RWMutex
	known map[[sha256.Size]byte]session // by hash of the token
}

type session struct {
	person string // or ended
	until  time.Time
}

const ended = ""

// NewSessions returns the sessions that a store keeps.
func NewSessions(store SessionStore, clock service.Clock) *Sessions {
	return &Sessions{store: store, clock: clock, known: map[[sha256.Size]byte]session{}}
}

// Start logs a person in. The token is a bearer token like any other.
func (s *Sessions) Start(ctx context.Context, person string) (token string, expires time.Time, err error) {
	token, expires = Token(sessionID, NewSecret()), s.clock().Add(sessionLife)
	if err := s.store.CommitCtx(ctx, token, []byte(person), expires); err != nil {
		return "", time.Time{}, fmt.Errorf("access: start session: %w", err)
	}
	return token, expires, nil
}

// StartBallot lets a person vote in a meeting, and do nothing else.
func (s *Sessions) StartBallot(ctx context.Context, person, meeting string) (token string, expires time.Time, err error) {
	token, expires = Token(sessionID, NewSecret()), s.clock().Add(sessionLife)
	if err := s.store.CommitCtx(ctx, token, []byte(person+ballotOf+meeting), expires); err != nil {
		return "", time.Time{}, fmt.Errorf("access: start session: %w", err)
	}
	return token, expires, nil
}

// ballotOf stands between person and meeting in a session that is for one ballot.
const ballotOf = " votes in "

// End logs out: here at once, in other processes within 5 s.
func (s *Sessions) End(ctx context.Context, token string) error {
	err := s.store.DeleteCtx(ctx, token)
	s.mu.Lock()
	s.known[sha256.Sum256([]byte(token))] = session{ended, s.clock().Add(remembered)} // also against a look-up under way
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("access: end session: %w", err)
	}
	return nil
}

// person returns whose session a token is; of one that is for one ballot, with
// the meeting.
func (s *Sessions) person(ctx context.Context, token string) (string, bool, error) {
	if s == nil {
		return "", false, nil
	}
	key, now := sha256.Sum256([]byte(token)), s.clock()
	s.mu.RLock()
	known, ok := s.known[key]
	s.mu.RUnlock()
	if ok && now.Before(known.until) {
		return known.person, known.person != ended, nil
	}
	data, found, err := s.store.FindCtx(ctx, token)
	if err != nil {
		return "", false, fmt.Errorf("access: session: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.known[key]; !found || ok && known.person == ended && now.Before(known.until) {
		return "", false, nil
	}
	if len(s.known) >= maxCached {
		clear(s.known) // they are looked up again
	}
	s.known[key] = session{string(data), now.Add(remembered)}
	return string(data), true, nil
}
