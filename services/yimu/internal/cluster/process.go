package cluster

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a program that can be killed, paused and started again. Its
// methods may be called from one goroutine at a time.
type Process struct {
	Name string // of its log, too
	Args []string
	Env  []string // besides those of this process
	Dir  string   // where it runs

	ready func(context.Context) error // nil once it is of use
	as    *syscall.Credential         // who runs it; nil: who runs this
	end   syscall.Signal              // asks it to end
	death syscall.Signal              // what it gets when this process dies; 0 means SIGKILL
	log   string

	mu    sync.Mutex
	cmd   *exec.Cmd // nil before the first start
	ended chan struct{}
	told  bool // to end
}

// patience is how long a process may take to start, and to stop.
const patience = 2 * time.Minute

// Start runs the program and returns once it is of use. Its data is what the
// last run left on disk.
func (p *Process) Start(ctx context.Context) error {
	if err := p.Launch(); err != nil {
		return err
	}
	return p.Await(ctx)
}

// Launch runs the program and does not wait until it is of use.
func (p *Process) Launch() error {
	if p.Running() {
		return fmt.Errorf("cluster: %s runs already", p.Name)
	}
	if err := p.run(); err != nil {
		return fmt.Errorf("cluster: start %s: %w", p.Name, err)
	}
	return nil
}

// Await returns once a program that runs is of use; one that is not in two
// minutes is left as it is.
func (p *Process) Await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.Ended():
			return fmt.Errorf("cluster: %s ended before it was ready:\n%s", p.Name, p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("cluster: %s is not ready: %w\n%s", p.Name, err, p.Tail())
		case <-time.After(20 * time.Millisecond): // another process: there is nothing to wait for
		}
	}
}

func (p *Process) run() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()            // the program has its own
	cmd := exec.Command(p.Args[0], p.Args[1:]...) //nolint:noctx // it outlives whoever waits for its start
	cmd.Dir, cmd.Env = p.Dir, append(os.Environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: p.as}
	bind(cmd.SysProcAttr, cmp.Or(p.death, syscall.SIGKILL))
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		// A program that is bound to this process is bound to the thread that
		// started it: this one stays until the program has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in cmd.ProcessState
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.ended, p.told = cmd, ended, false
	return nil
}

// Running says whether the program runs, or is paused.
func (p *Process) Running() bool {
	select {
	case <-p.Ended():
		return false
	default:
		return true
	}
}

// Ended is closed once the program has ended; it is a channel of this run.
func (p *Process) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		none := make(chan struct{})
		close(none)
		return none
	}
	return p.ended
}

// Fell says whether the program ended though nobody told it to.
func (p *Process) Fell() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.told {
		return false
	}
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// tell sends the program, or all that it started too, a signal to end.
func (p *Process) tell(pid int, s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.ended:
		return nil // by itself, just now
	default:
		p.told = true
		return syscall.Kill(pid, s)
	}
}

// Pid is the number of the program's process, in its last run.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Kill ends the program at once, with everything it started, and returns when
// it is gone.
func (p *Process) Kill() {
	if p.Running() {
		_ = p.tell(-p.Pid(), syscall.SIGKILL) // it may have ended just now
		<-p.Ended()
	}
}

// Stop asks the program to end and returns when it has; to end in another way
// than well is an error.
func (p *Process) Stop() error {
	if !p.Running() {
		return fmt.Errorf("cluster: %s does not run", p.Name)
	}
	if err := p.tell(p.Pid(), p.end); err != nil {
		return fmt.Errorf("cluster: stop %s: %w", p.Name, err)
	}
	select {
	case <-p.Ended():
	case <-time.After(patience):
		p.Kill()
		return fmt.Errorf("cluster: %s did not stop:\n%s", p.Name, p.Tail())
	}
	// A JVM that was told to end does so with the signal's status.
	if code := p.cmd.ProcessState.ExitCode(); code != 0 && code != 128+int(p.end) {
		return fmt.Errorf("cluster: %s ended with status %d:\n%s", p.Name, code, p.Tail())
	}
	return nil
}

// Restart is Kill and Start.
func (p *Process) Restart(ctx context.Context) error {
	p.Kill()
	return p.Start(ctx)
}

// Pause stops the program where it is, as a machine that hangs does, and
// returns once none of its threads goes on.
func (p *Process) Pause() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // another process: there is nothing to wait for
		still, err := p.still()
		if err != nil {
			return fmt.Errorf("cluster: pause %s: %w", p.Name, err)
		}
		if still {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cluster: %s cannot be paused", p.Name)
		}
	}
}

// still says whether every thread of the program has stopped: a thread that
// runs on another core takes the signal a little later than it was sent.
func (p *Process) still() (bool, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid()))
	if err != nil || len(threads) == 0 {
		return false, errors.New("the system does not tell its threads")
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it ended just now
		}
		if err != nil {
			return false, err
		}
		state := stat[bytes.LastIndexByte(stat, ')')+1:] // after the name, which may hold anything
		if !bytes.HasPrefix(state, []byte(" T")) {
			return false, nil
		}
	}
	return true, nil
}

// Resume lets a paused program go on.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	if !p.Running() {
		return fmt.Errorf("cluster: %s does not run", p.Name)
	}
	if err := syscall.Kill(-p.Pid(), s); err != nil {
		return fmt.Errorf("cluster: signal %s: %w", p.Name, err)
	}
	return nil
}

// Log is the file with what the program said, in all its runs.
func (p *Process) Log() string { return p.log }

// Tail is the end of what the program said.
func (p *Process) Tail() string {
	const most = 4 << 10
	said, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(said[max(0, len(said)-most):]))
}

// Memory returns the resident memory of the program in bytes, and how much of it
// is mapped files, which is the program itself: all processes share one copy.
func (p *Process) Memory() (resident, files int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		return 0, 0, fmt.Errorf("cluster: memory of %s: %w", p.Name, err)
	}
	told := map[string]int64{}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64); err == nil {
			told[name] = kib << 10
		}
	}
	if told["VmRSS"] == 0 {
		return 0, 0, errors.New("cluster: the system does not tell the memory of " + p.Name)
	}
	return told["VmRSS"], told["RssFile"], nil
}
