// Package cluster runs, on loopback, what yimu runs on where each part is a
// process of its own: Apache Kafka on one broker or three, PostgreSQL, and
// yimu's services. It is for tests, measurements and fault runs; nothing in it
// is meant to keep anything.
//
//	c := cluster.ForTest(t)                                     // ends with the test
//	k, err := c.Kafka(ctx, cluster.KafkaConfig{Brokers: 3})     // ready to use
//	p, err := c.Postgres(ctx, cluster.PostgresConfig{})
//	k.Brokers[1].Kill()                                         // kill -9
//	err = k.Brokers[1].Start(ctx)                               // on what is on its disk
//	k.Brokers[0].Pause(); k.Brokers[0].Resume()                 // SIGSTOP, SIGCONT
//	cfg := bus.Config{Brokers: k.Addrs()}
//	db, err := readmodel.Open(ctx, p.URL("yimu"))
//
// Everything is under one temporary directory, c.Dir, and dies with the process
// that started it, however that ends (on Linux; elsewhere only if Close is called).
//
// Whoever breaks connections puts a [Proxy] between two parts: ask [Kafka] for
// listeners of their own for one client, and give a service another address.
//
// The jars of Kafka are fetched once, by Maven, into .cache/kafka of the
// repository or where YIMU_KAFKA_JARS says. A part that cannot be had is an
// error that says what to install.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/libs/pause"
)

// Cluster is a directory and the processes that run in it.
type Cluster struct {
	Dir string // of everything; Close removes it
	CA  string // file of the certificate by which secure parts are known

	keystore string // file of the certificate with its key

	mu        sync.Mutex
	processes []*Process
	proxies   []*Proxy
}

// prefix of the directories' names; the number of the process follows.
const prefix = "yimu-cluster-"

// New returns a cluster of nothing yet.
func New() (*Cluster, error) {
	sweep()
	dir, err := os.MkdirTemp("", prefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	// PostgreSQL runs as another user and must get through.
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // nothing in it is secret
		return nil, fmt.Errorf("cluster: %w", err)
	}
	c := &Cluster{Dir: dir}
	return c, c.certify()
}

// sweep removes the directories of processes that ended without Close.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range dirs {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), "-")
		pid, err := strconv.Atoi(number)
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir)
		}
	}
}

// ForTest returns a cluster that ends with the test. A process that fell by
// itself fails the test; of one that failed, the ends of all logs are shown.
func ForTest(t testing.TB) *Cluster {
	t.Helper()
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range c.all() {
			if p.Fell() {
				t.Errorf("%s ended by itself", p.Name)
			}
		}
		if t.Failed() {
			for _, p := range c.all() {
				t.Logf("%s, the end of what it said:\n%s", p.Name, p.Tail())
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *Cluster) all() []*Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.processes)
}

// Close kills everything, the last first, and removes the directory.
func (c *Cluster) Close() error {
	for _, p := range slices.Backward(c.all()) {
		p.Kill()
	}
	c.mu.Lock()
	proxies := c.proxies
	c.mu.Unlock()
	for _, p := range proxies {
		p.proxy.Stop()
	}
	return os.RemoveAll(c.Dir)
}

// add makes a process of the cluster, not yet started.
func (c *Cluster) add(p *Process) *Process {
	p.log = filepath.Join(c.Dir, p.Name+".log")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes = append(c.processes, p)
	return p
}

// until calls f until it returns nil, and returns its error if ctx, or patience, ends first.
func until(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if pause.For(ctx, 20*time.Millisecond) != nil {
			return err
		}
	}
}

var (
	takenMu sync.Mutex
	taken   = map[int]bool{}
)

// FreeAddr returns an address of this machine that nobody listens on. It is
// below the ports that the system gives to outgoing connections, so that it
// stays free while a process that had it is down.
func FreeAddr() string {
	const from, to = 20000, 32000
	takenMu.Lock()
	defer takenMu.Unlock()
	for {
		port := from + rand.IntN(to-from)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if taken[port] {
			continue
		}
		l, err := net.Listen("tcp", addr) //nolint:noctx // it returns at once
		if err != nil {
			continue
		}
		_ = l.Close()
		taken[port] = true
		return addr
	}
}
