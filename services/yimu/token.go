package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	contract "github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/services/registry"
)

type tokenCmd struct {
	Data   string        `help:"Directory of the system, whether it runs or not." default:"data" env:"YIMU_DATA" type:"path"`
	Role   string        `help:"What the token may do: resident, committee, clerk, provider, principal, regulator or administrator." required:"" enum:"resident,committee,clerk,provider,principal,regulator,administrator"`
	Estate string        `help:"Id of the one estate where it may do so; without it an administrator or regulator may everywhere."`
	Label  string        `help:"What it is for." default:"issued by the operator"`
	Life   time.Duration `help:"How long it is good, e.g. 720h." default:"720h"`
}

func (c *tokenCmd) Run(ctx context.Context) error {
	token, err := c.token(ctx)
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}

func (c *tokenCmd) token(ctx context.Context) (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	token, running, err := ask(ctx, c.Data, "/token", strings.NewReader(string(body)))
	if running || err != nil {
		return token, err
	}
	err = offline(ctx, c.Data, func(ctx context.Context, s *Site) error {
		token, err = s.issueToken(ctx, *c)
		return err
	})
	return token, err
}

// offline runs the system on a directory where none runs, for one thing only.
func offline(ctx context.Context, dir string, do func(context.Context, *Site) error) error {
	if _, err := os.Stat(filepath.Join(dir, "ledger")); err != nil {
		return fmt.Errorf("there is no system in %s: start one with yimu up --data %s", dir, dir)
	}
	s, err := Open(ctx, Options{Dir: dir, Clock: time.Now, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		return sentence(err)
	}
	done := errors.New("done")
	err = s.Run(ctx, func(ctx context.Context) error {
		if err := do(ctx, s); err != nil {
			return err
		}
		return done
	})
	if errors.Is(err, done) {
		err = nil
	}
	return sentence(errors.Join(err, s.Close()))
}

// issueToken issues a token that may be used at once.
func (s *System) issueToken(ctx context.Context, c tokenCmd) (string, error) {
	role := contract.Role(c.Role)
	if !slices.Contains(contract.Roles, role) {
		return "", fmt.Errorf("there is no role %q", c.Role)
	}
	deps, ok := s.deps["registry"]
	if !ok {
		return "", errors.New("this process does not run the registry; ask the one that does")
	}
	token, at, err := registry.IssueToken(ctx, deps, role, c.Estate, c.Label, c.Life)
	if err != nil {
		return "", err
	}
	return token, s.access.WaitFor(ctx, at)
}

// wish answers one of the operator's.
func wish(work func(context.Context, io.Reader) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := work(r.Context(), r.Body)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			text = err.Error()
		}
		_, _ = io.WriteString(w, text)
	}
}

// operator answers whoever may open the socket.
func (s *System) operator() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", wish(func(ctx context.Context, body io.Reader) (string, error) {
		var c tokenCmd
		if err := json.NewDecoder(body).Decode(&c); err != nil {
			return "", err
		}
		return s.issueToken(ctx, c)
	}))
	mux.HandleFunc("POST /rebuild", wish(func(ctx context.Context, _ io.Reader) (string, error) { return "", s.Rebuild(ctx) }))
	return mux
}

type rebuildCmd struct {
	Data string `help:"Directory of the system, whether it runs or not." default:"data" env:"YIMU_DATA" type:"path"`
}

func (c *rebuildCmd) Run(ctx context.Context) error {
	start := time.Now()
	_, running, err := ask(ctx, c.Data, "/rebuild", nil)
	if !running && err == nil {
		err = offline(ctx, c.Data, func(ctx context.Context, s *Site) error { return s.Rebuild(ctx) })
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "The read models were replayed from the ledger in %.1f s.\n", time.Since(start).Seconds())
	return nil
}
