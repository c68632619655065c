package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// YimuConfig says how yimu's services are started.
type YimuConfig struct {
	Binary   string // yimu
	Kafka    *Kafka
	Postgres *Postgres
	// Instances of each of the services [Services]; 1 where none are said.
	Instances map[string]int
	// Eventstore is the connection string of an event store that is there
	// already. Without one, yimu serve store is started.
	Eventstore string
	// Secure lets services reach Kafka by its listener that asks for TLS and a
	// password, which must be there, and the store over TLS, where only the
	// ledger's credentials may append.
	Secure bool
	// Address, where it is set, is asked for each address that a process is
	// told, so that something can stand in between. process is such as votes-2;
	// part is "kafka" (once for each broker), "eventstore", "database", "vault"
	// or, for the portal, the name of a service. It returns an address.
	Address func(process, part, address string) string
	// Env are further variables of a process, such as YIMU_TEST_CLOCK=5m.
	Env func(process string) []string
	// Flags are further flags of a process.
	Flags func(process string) []string
}

// Services that have an API; besides them there are portal and store.
var Services = []string{"registry", "contracts", "workorders", "finance", "votes", "ledger"}

// Yimu is a whole yimu, each service a process.
type Yimu struct {
	Store      *Service              // nil where YimuConfig.Eventstore names another
	Services   map[string][]*Service // by name, portal among them
	URL        string                // of the first portal
	Eventstore string                // connection string for readers

	binary string
}

// Service is a process of yimu.
type Service struct {
	*Process
	Addr    string // of HTTP
	Metrics string // address of /metrics
	Data    string // directory
	Store   string // of the store: address of its protocol
}

// URL is where it answers.
func (s *Service) URL() string { return "http://" + s.Addr }

// All are the processes, the store first.
func (y *Yimu) All() []*Service {
	var all []*Service
	if y.Store != nil {
		all = append(all, y.Store)
	}
	for _, name := range append(slices.Clone(Services), "portal") {
		all = append(all, y.Services[name]...)
	}
	return all
}

// Token issues a token, as the operator does: an administrator's, if role is empty.
func (y *Yimu) Token(ctx context.Context, role string) (string, error) {
	if role == "" {
		role = "administrator"
	}
	return y.operate(ctx, "token", "--data", y.Services["registry"][0].Data, "--role", role)
}

// Rebuild empties the read models of every service and replays them.
func (y *Yimu) Rebuild(ctx context.Context) error {
	for _, name := range Services {
		if _, err := y.operate(ctx, "rebuild", "--data", y.Services[name][0].Data); err != nil {
			return err
		}
	}
	return nil
}

func (y *Yimu) operate(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, y.binary, args...).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("cluster: yimu %s: %s", strings.Join(args, " "), bytes.TrimSpace(failed.Stderr))
	}
	return strings.TrimSpace(string(out)), err
}

// Yimu starts the store and every service, and returns when all are ready.
func (c *Cluster) Yimu(ctx context.Context, config YimuConfig) (*Yimu, error) {
	if config.Address == nil {
		config.Address = func(_, _, address string) string { return address }
	}
	y := &Yimu{Services: map[string][]*Service{}, binary: config.Binary}
	b := yimuBuilder{Cluster: c, config: config}
	for _, dir := range []string{"blobs", "refused", "keys"} {
		if err := os.MkdirAll(filepath.Join(c.Dir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("cluster: %w", err)
		}
	}
	var store string
	if config.Eventstore == "" {
		y.Store = b.store()
		store = y.Store.Store
	}
	y.Eventstore = b.eventstore(store, false)
	for _, name := range Services {
		for i := range max(config.Instances[name], 1) {
			y.Services[name] = append(y.Services[name], b.service(name, i+1, store))
		}
	}
	for i := range max(config.Instances["portal"], 1) {
		y.Services["portal"] = append(y.Services["portal"], b.portal(i+1, y.Services))
	}
	y.URL = y.Services["portal"][0].URL()
	var g errgroup.Group
	for _, s := range y.All() { // at once: they wait for each other
		g.Go(func() error { return s.Start(ctx) })
	}
	return y, g.Wait()
}

type yimuBuilder struct {
	*Cluster
	config YimuConfig
}

// process makes one, which answers on an address of its own.
func (b yimuBuilder) process(name, service string, args ...string) *Service {
	s := &Service{Addr: FreeAddr(), Metrics: FreeAddr(), Data: filepath.Join(b.Dir, name)}
	args = append([]string{b.config.Binary, "serve", service, "--listen", s.Addr, "--metrics-listen", s.Metrics}, args...)
	if b.config.Flags != nil {
		args = append(args, b.config.Flags(name)...)
	}
	var env []string
	if b.config.Env != nil {
		env = b.config.Env(name)
	}
	s.Process = b.add(&Process{Name: name, Args: args, Env: env, Dir: b.Dir, end: syscall.SIGTERM, ready: s.ready})
	return s
}

func (s *Service) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s", resp.Status)
	}
	return nil
}

// Who may append, where not everyone may.
const appendUser, appendPassword = "ledger", "only the ledger"

func (b yimuBuilder) store() *Service {
	addr := FreeAddr()
	args := []string{"--data", filepath.Join(b.Dir, "store"), "--eventstore-listen", addr}
	if b.config.Secure {
		args = append(args, "--eventstore-cert", b.keystore, "--eventstore-key", b.keystore,
			"--append-user", appendUser, "--append-password", appendPassword)
	}
	s := b.process("store", "store", args...)
	s.Store = addr
	return s
}

// eventstore is the connection string of the store at an address.
func (b yimuBuilder) eventstore(addr string, mayAppend bool) string {
	if b.config.Eventstore != "" {
		return b.config.Eventstore
	}
	s := url.URL{Scheme: "esdb", Host: addr, RawQuery: "tls=false"}
	if b.config.Secure {
		s.RawQuery = "tlsCaFile=" + url.QueryEscape(b.CA)
	}
	if b.config.Secure && mayAppend {
		s.User = url.UserPassword(appendUser, appendPassword)
	}
	return s.String()
}

func (b yimuBuilder) service(service string, instance int, store string) *Service {
	name := service + "-" + strconv.Itoa(instance)
	at := func(part, address string) string { return b.config.Address(name, part, address) }
	brokers := b.config.Kafka.Addrs()
	if b.config.Secure {
		brokers = b.config.Kafka.Secure.Addrs
	}
	for i := range brokers {
		brokers[i] = at("kafka", brokers[i])
	}
	args := append(b.vault(at),
		"--data", filepath.Join(b.Dir, name),
		"--kafka", strings.Join(brokers, ","),
		"--eventstore", b.eventstore(at("eventstore", store), service == "ledger"),
		"--database", b.config.Postgres.at(at("database", b.config.Postgres.Addr), "yimu"),
		"--blobs", "file://"+filepath.Join(b.Dir, "blobs"),
		"--refused", "file://"+filepath.Join(b.Dir, "refused"),
		"--tlog", filepath.Join(b.Dir, "log"),
		"--tlog-key", filepath.Join(b.Dir, "keys", "log.key"),
	)
	if s := b.config.Kafka.Secure; b.config.Secure {
		args = append(args, "--kafka-ca", b.CA, "--kafka-user", s.User, "--kafka-password", s.Password)
	}
	return b.process(name, service, args...)
}

func (b yimuBuilder) vault(at func(part, address string) string) []string {
	return []string{
		"--vault", b.config.Postgres.at(at("vault", b.config.Postgres.Addr), "vault"),
		"--vault-key", filepath.Join(b.Dir, "keys", "vault.json"),
	}
}

func (b yimuBuilder) portal(instance int, services map[string][]*Service) *Service {
	name := "portal-" + strconv.Itoa(instance)
	at := func(part, address string) string { return b.config.Address(name, part, address) }
	args := b.vault(at)
	for _, service := range Services {
		for _, s := range services[service] {
			args = append(args, "--"+service, "http://"+at(service, s.Addr))
		}
	}
	return b.process(name, "portal", args...)
}
