package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// parse reads a command line of yimu.
func parse(t *testing.T, args ...string) (*cli, *kong.Context) {
	t.Helper()
	var c cli
	parser, err := kong.New(&c, kong.Name("yimu"), kong.BindTo(t.Context(), (*context.Context)(nil)))
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse(args)
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

func TestSettingsThatCannotWorkAreSaidBeforeAnythingStarts(t *testing.T) {
	base := map[string][]string{
		"votes": {"--kafka=k:9092", "--eventstore=esdb://s:2113", "--database=postgres://d", "--vault=postgres://v", "--vault-key=k", "--blobs=file:///b"},
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
		"an address that is none":             {"portal", []string{"--registry=localhost:8080"}, "http://host:port"},
		"a certificate without its key":       {"store", []string{"--eventstore-cert=c.pem"}, "--eventstore-key"},
		"a user without a password":           {"store", []string{"--append-user=ledger"}, "--append-password"},
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
