package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alecthomas/kong"

	"github.com/yimu-ledger/yimu/libs/service"
)

// parse reads a command line of yimu.
func parse(t *testing.T, args ...string) (*cli, *kong.Context) {
	t.Helper()
	var c cli
	command, err := newParser(t.Context(), &c).Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	return &c, command
}

func TestASettingIsPrintedWithoutWhatIsSecretInIt(t *testing.T) {
	t.Setenv("YIMU_KAFKA_PASSWORD", "hunter2")
	c, command := parse(t, "serve", "votes", "--kafka=k1:9092,k2:9092", "--kafka-user=votes",
		"--eventstore=esdb+discover://reader:hunter2@a:2113,b:2113?tlsCaFile=/ca.crt",
		"--database=postgres://yimu:hunter2@db/yimu?sslpassword=hunter2&sslmode=require",
		"--vault=postgres://vault:hunter2@db/vault", "--vault-key=/keys/vault.json", "--blobs=s3://bucket?region=x")
	lines, missing := c.Serve.settings(command.Flags())
	if len(missing) > 0 {
		t.Errorf("missing %v", missing)
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"k1:9092 k2:9092", "kafka-password       (set)", "esdb+discover://reader:…@a:2113,b:2113?tlsCaFile=/ca.crt",
		"postgres://yimu:…@db/yimu?sslpassword=…&sslmode=require", "postgres://vault:…@db/vault", "s3://bucket?region=x",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("a secret is in\n%s", text)
	}
}

func TestNoPartOfAPasswordIsShown(t *testing.T) {
	for address, want := range map[string]string{
		"localhost:8080":                           "localhost:8080",
		"http://votes:8080":                        "http://votes:8080",
		"postgres://yimu:hunt@er2@db/yimu":         "postgres://yimu:…@db/yimu",
		"host=db user=yimu password=hunter2":       "(set, but no URL)",
		"yimu:hunter2@db":                          "(set, but no URL)",
		"http://a:hunter2@x http://b:hunter2@y":    "http://a:…@y",
		"s3://b?region=x&secret_access_key=hunter": "s3://b?region=x&secret_access_key=…",
	} {
		if got := shown(address); got != want {
			t.Errorf("%s is shown as %s, want %s", address, got, want)
		}
	}
}

func TestAServiceSaysWhatItDoesNotStartWithout(t *testing.T) {
	for service, want := range map[string]string{
		"votes":  "blobs database eventstore kafka vault vault-key",
		"ledger": "blobs database eventstore kafka refused tlog tlog-key vault vault-key",
		"portal": "contracts finance ledger registry vault vault-key votes workorders",
		"store":  "data",
	} {
		c, command := parse(t, "serve", service)
		_, missing := c.Serve.settings(command.Flags())
		text := strings.Join(missing, "\n")
		for _, name := range strings.Fields(want) {
			if !strings.Contains(text, "--"+name+" (YIMU_") {
				t.Errorf("%s: --%s is not said to be missing in\n%s", service, name, text)
			}
		}
		if n := len(strings.Fields(want)); len(missing) != n {
			t.Errorf("%s: %d are missing, want %d:\n%s", service, len(missing), n, text)
		}
	}
}

func TestHelpOfAServiceTellsItsOwnFlags(t *testing.T) {
	for service, want := range map[string]string{
		"":       "listen kafka database vault tlog registry votes base-url append-user holidays",
		"votes":  "listen kafka database vault holidays",
		"ledger": "listen kafka database vault tlog",
		"portal": "listen vault registry votes base-url",
		"store":  "listen append-user",
	} {
		var said bytes.Buffer
		parser := newParser(t.Context(), &cli{})
		parser.Stdout, parser.Exit = &said, func(int) {}
		_, _ = parser.Parse(append(append([]string{"serve"}, strings.Fields(service)...), "--help")) // it goes on where it would have exited
		for _, flag := range []string{"listen", "kafka", "database", "vault", "tlog", "registry", "votes", "base-url", "append-user", "holidays"} {
			told := strings.Contains(said.String(), "  --"+flag+"=")
			if wanted := slices.Contains(strings.Fields(want), flag); told != wanted {
				t.Errorf("of %q --%s is told: %t, want %t", service, flag, told, wanted)
			}
		}
	}
}

func TestSettingsThatCannotWorkAreSaidBeforeAnythingStarts(t *testing.T) {
	base := map[string][]string{
		"votes":   {"--kafka=k:9092", "--eventstore=esdb://s:2113", "--database=postgres://d", "--vault=postgres://v", "--vault-key=k", "--blobs=file:///b"},
		"finance": {"--kafka=k:9092", "--vault-key=k", "--blobs=file:///b"},
		"portal": {"--vault=postgres://v", "--vault-key=k", "--contracts=http://c", "--workorders=http://w", "--finance=http://f",
			"--votes=http://v", "--ledger=http://l"},
		"store": {"--data=d"},
	}
	for name, c := range map[string]struct {
		service string
		flags   []string
		want    string
	}{
		"a mechanism that tells the password": {"votes", []string{"--kafka-user=u", "--kafka-password=p", "--kafka-mechanism=PLAIN"}, "needs TLS"},
		"certificates that are not there":     {"votes", []string{"--kafka-ca=/nowhere.pem"}, "/nowhere.pem"},
		"a broker without a port":             {"votes", []string{"--kafka=k1:9092,k2"}, `"k2" is not like host:port`},
		"an event store of no known scheme":   {"finance", []string{"--eventstore=http://s:2113", "--database=postgres://d", "--vault=postgres://v"}, "--eventstore"},
		"a database of another kind":          {"finance", []string{"--eventstore=esdb://s:2113", "--database=sqlite:///d.db", "--vault=postgres://v"}, "--database: it is not like postgres://"},
		"certificates of a vault, not there":  {"finance", []string{"--eventstore=esdb://s:2113", "--database=postgres://d", "--vault=postgres://v?sslmode=verify-full&sslrootcert=/nowhere.crt"}, "/nowhere.crt"},
		"holidays that are not there":         {"votes", []string{"--holidays=/nowhere.yaml"}, "/nowhere.yaml"},
		"a base URL without its scheme":       {"portal", []string{"--registry=http://r", "--base-url=yimu.example"}, "--base-url"},
		"an address that is none":             {"portal", []string{"--registry=localhost:8080"}, "http://host:port"},
		"a certificate without its key":       {"store", []string{"--eventstore-cert=c.pem"}, "--eventstore-key"},
		"a user without a password":           {"store", []string{"--append-user=ledger"}, "--append-password"},
		"a certificate that is not there":     {"store", []string{"--eventstore-cert=/nowhere.crt", "--eventstore-key=k", "--append-user=u", "--append-password=p"}, "/nowhere.crt"},
		"a store that everyone may append to": {"store", []string{"--eventstore-listen=0.0.0.0:2113"}, "loopback"},
		"a store at the address of no host":   {"store", []string{"--eventstore-listen=:2113"}, "loopback"},
		"a certificate without a user":        {"store", []string{"--eventstore-cert=c", "--eventstore-key=k"}, "--append-user"},
	} {
		t.Run(name, func(t *testing.T) {
			_, command := parse(t, append(append([]string{"serve", c.service, "--check"}, base[c.service]...), c.flags...)...)
			if err := command.Run(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

// Somebody who mistyped an address must learn which one, and not only that
// something is waited for.
func TestWhoIsNotThereIsNamedWithTheAddressAndItsFlag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		err := insist(t.Context(), log, "the event store", "eventstore", shown("esdb://reader:hunter2@s:2113"), func() error {
			time.Sleep(10 * time.Second)
			return errors.New("nobody answers")
		})
		synctest.Wait() // for whoever said that it was waiting
		const address = "esdb://reader:…@s:2113"
		if err == nil || !strings.Contains(err.Error(), "the event store cannot be used") || !strings.Contains(err.Error(), "--eventstore "+address) || !strings.Contains(err.Error(), "nobody answers") {
			t.Errorf("in the end it says %v", err)
		}
		first, _, _ := strings.Cut(said.String(), "\n")
		if !strings.Contains(first, "waiting for the event store") || !strings.Contains(first, "eventstore="+address) || strings.Contains(first, "error=") {
			t.Errorf("while nothing answers it says %s", first)
		}
		if strings.Contains(said.String(), "hunter2") {
			t.Errorf("a secret is in\n%s", &said)
		}
	})
}

func TestALimitCountsTheAddressTheProxyNames(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://yimu.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "10.0.0.1:5000"
	r.Header.Set("X-Forwarded-For", "203.0.113.9, 198.51.100.7")
	if got := (siteFlags{ClientAddressHeader: "X-Forwarded-For"}).config().ClientAddress(r); got != "198.51.100.7" {
		t.Errorf("counts %q", got)
	}
	r.Header.Del("X-Forwarded-For")
	if got := (siteFlags{ClientAddressHeader: "X-Forwarded-For"}).config().ClientAddress(r); got != r.RemoteAddr {
		t.Errorf("without the header it counts %q", got)
	}
}

func TestALogIsOfTheFormAndLevelThatWasAsked(t *testing.T) {
	var out bytes.Buffer
	log := newLogger(&out, "warn", "json")
	log.Info("not this")
	log.Warn("this", slog.String("a", "b"))
	if got := out.String(); !strings.Contains(got, `"msg":"this","a":"b"`) || strings.Contains(got, "not this") {
		t.Errorf("logged %s", got)
	}
}

func TestReadinessNamesWhatIsNotReady(t *testing.T) {
	site := &gate{}
	health := front(site.checks(commitPath, readModels), site)
	ask := func() (int, string) {
		w := httptest.NewRecorder()
		health.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
		return w.Code, w.Body.String()
	}
	if status, said := ask(); status != http.StatusServiceUnavailable || said != "commit path is not ready\nread models is not ready\n" {
		t.Errorf("before anything is open it answers %d %s", status, said)
	}
	why := errors.New("no ledger has been heard yet")
	site.open.Store(&opened{http.NotFoundHandler(), map[string]service.Check{
		commitPath: func(context.Context) error { return why },
		readModels: func(context.Context) error { return nil },
	}})
	if status, said := ask(); status != http.StatusServiceUnavailable || said != "commit path is not ready\n" {
		t.Errorf("without a ledger it answers %d %s", status, said)
	}
	why = nil
	if status, said := ask(); status != http.StatusOK || said != "ok\n" {
		t.Errorf("when all is ready it answers %d %s", status, said)
	}
}

// Who was given a token, and from whom one was taken, is known once the ledger
// was read; until then nobody must be told that a token is unknown, or be let in.
func TestNobodyIsAnsweredBeforeTheLedgerWasRead(t *testing.T) {
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Clock: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, handler := range s.handlers() {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/me", nil)
		r.Header.Set("Authorization", "Bearer yimu_1_2")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "starting") {
			t.Errorf("%s answers %d %s", name, w.Code, w.Body)
		}
	}
}
