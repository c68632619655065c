package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/libs/service"
)

// Site is a running yimu, seen from outside.
type Site struct {
	Addr   string // where it answers pages and the API
	Dir    string // of the operator's socket
	Binary string // the yimu that it runs
}

// URL is where it answers.
func (s Site) URL() string { return "http://" + s.Addr }

// Server is a yimu in one process, on an address of this machine.
type Server struct {
	Site
	Ready time.Duration // from the start of the process until it was ready

	cmd   *exec.Cmd
	said  *bytes.Buffer // what it wrote, for when it does not start
	ended chan struct{}
}

// patience is how long a start may take.
const patience = 2 * time.Minute

// Start runs "yimu up" on a directory with its clock ahead by some time, or
// behind, and waits until it is ready. env are further variables.
func Start(ctx context.Context, binary, dir string, clock time.Duration, env ...string) (*Server, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	s := &Server{Site: Site{addr, dir, binary}, said: &bytes.Buffer{}, ended: make(chan struct{})}
	s.cmd = exec.Command(binary, "up", "--data", dir, "--listen", addr) //nolint:noctx // it is ended by Stop or Kill, not in the middle of something by ctx
	s.cmd.Env = append(append(os.Environ(), "YIMU_TEST_CLOCK="+clock.String()), env...)
	s.cmd.Stdout, s.cmd.Stderr = s.said, s.said
	start := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is seen by that it did
		close(s.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !s.ready(ctx) {
		select {
		case <-s.ended:
			return nil, fmt.Errorf("yimu up ended: %s", bytes.TrimSpace(s.said.Bytes()))
		case <-ctx.Done():
			s.Kill()
			return nil, errors.New("yimu up is not ready in time")
		case <-time.After(2 * time.Millisecond):
		}
	}
	s.Ready = time.Since(start)
	return s, nil
}

func (s *Server) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// freeAddr returns an address that nobody listens on.
func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Kill ends the process as a power cut of its own would: at once.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// Stop asks the process to end and waits until it has.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	<-s.ended
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("yimu up ended with status %d: %s", code, bytes.TrimSpace(s.said.Bytes()))
	}
	return nil
}

// Token issues an administrator's token, as the operator does.
func (s Site) Token(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, s.Binary, "token", "--data", s.Dir, "--role", "administrator").Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("yimu token: %s", bytes.TrimSpace(failed.Stderr))
	}
	return strings.TrimSpace(string(out)), err
}

// Memory returns the resident memory of the process in bytes.
func (s *Server) Memory(ctx context.Context) (int64, error) {
	out, err := exec.CommandContext(ctx, "ps", "-o", "rss=", "-p", strconv.Itoa(s.cmd.Process.Pid)).Output()
	if err != nil {
		return 0, err
	}
	kib, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return kib << 10, err
}

// CPU returns the processor time the process has used so far; 0 where the
// machine does not tell.
func (s *Server) CPU() time.Duration { return CPU(s.cmd.Process.Pid) }

// CPU returns the processor time a process has used so far, by its number; 0
// where the machine does not tell.
func CPU(pid int) time.Duration {
	const tick = 10 * time.Millisecond // of Linux, on every architecture Go knows
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // behind the name, which may hold anything
	fields := strings.Fields(rest)
	const user, system = 11, 12
	if len(fields) <= system {
		return 0
	}
	var ticks int64
	for _, f := range fields[user : system+1] {
		n, _ := strconv.ParseInt(f, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * tick
}

// Get reads a path of the site into memory.
func (s Site) Get(ctx context.Context, path string) ([]byte, error) {
	_, body, err := s.get(ctx, path, 0)
	return body, err
}

// Read decodes what is at a path of the site.
func (s Site) Read(ctx context.Context, path string, into any) error {
	text, err := s.Get(ctx, path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// GetAt is Get of a site that has caught up with a position, for which it is
// given some minutes.
func (s Site) GetAt(ctx context.Context, path string, position uint64) ([]byte, error) {
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) { // another process: there is nothing to wait for
		status, body, err := s.get(ctx, path, position)
		if status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			return body, err
		}
	}
}

func (s Site) get(ctx context.Context, path string, position uint64) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+path, nil)
	if err != nil {
		return 0, nil, err
	}
	if position > 0 {
		req.Header.Set(service.PositionHeader, strconv.FormatUint(position, 10))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s %s", path, resp.Status, body)
	}
	return resp.StatusCode, body, err
}
