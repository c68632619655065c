package bus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/yimu-ledger/yimu/libs/bus"
)

// certificate makes one for this machine, which vouches for itself, and a file
// of it.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

func TestABrokerThatAsksForAPasswordOverTLS(t *testing.T) {
	own, ca := certificate(t)
	_, cfg := testBroker(t, kfake.EnableSASL(), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{own}}),
		kfake.Superuser("PLAIN", "plain", "secret"), kfake.Superuser("SCRAM-SHA-256", "short", "secret"), kfake.Superuser("SCRAM-SHA-512", "long", "secret"))
	with := func(t *testing.T, s bus.Security) bus.Config {
		t.Helper()
		c := cfg
		if err := s.Apply(&c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, s := range map[string]bus.Security{
		"PLAIN":         {CA: ca, User: "plain", Password: "secret", Mechanism: "PLAIN"},
		"SCRAM-SHA-256": {CA: ca, User: "short", Password: "secret", Mechanism: "SCRAM-SHA-256"},
		"by default":    {CA: ca, User: "long", Password: "secret"},
	} {
		t.Run(name+" is let in", func(t *testing.T) {
			cfg := with(t, s)
			topic := newTopic(t, cfg, 1)
			publishAll(t, cfg, topic, "a")
			got, verdict, _ := batches(t, cfg, watermill.NewUUID(), topic)
			if b := <-got; strings.Join(b, "") != "a" {
				t.Errorf("got %q", b)
			}
			verdict <- nil
			if got := read(t, cfg, topic, 1); got != "a" {
				t.Errorf("the topic holds %s", got)
			}
		})
	}
}

func TestABrokerWithAnotherCertificateIsNotSpokenTo(t *testing.T) {
	own, _ := certificate(t)
	_, otherCA := certificate(t)
	_, cfg := testBroker(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{own}}))
	if err := (bus.Security{CA: otherCA}).Apply(&cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // it is said, not waited for
	defer cancel()
	topics := bus.EnsureTopics(ctx, cfg, bus.Topic{Name: "topic"})
	publish := publishFor(newPublisher(t, cfg), 5*time.Second, "topic", "x")
	consume := bus.Consume(ctx, cfg, "group", []string{"topic"}, nil)
	for _, err := range []error{topics, publish, consume} {
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("got %v, want what speaks of the certificate", err)
		}
	}
	if ctx.Err() != nil || !errors.Is(publish, bus.ErrNotSent) {
		t.Errorf("got %v, want ErrNotSent at once", publish)
	}
}

func TestSecurityThatCannotBe(t *testing.T) {
	_, ca := certificate(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		security bus.Security
		says     string
	}{
		"a file that is not there":     {bus.Security{CA: ca + "x"}, "no such file"},
		"a file without a certificate": {bus.Security{CA: empty}, "holds no certificate"},
		"a password without a user":    {bus.Security{Password: "secret"}, "no user"},
		"a password in plain text":     {bus.Security{User: "u", Password: "secret", Mechanism: "PLAIN"}, "TLS"},
		"a mechanism nobody heard of":  {bus.Security{User: "u", Password: "secret", Mechanism: "MD5"}, "MD5"},
		"a mechanism in small letters": {bus.Security{User: "u", Password: "secret", Mechanism: "scram-sha-512"}, "SCRAM-SHA-512"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.security.Apply(&bus.Config{})
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want what speaks of %s", err, tt.says)
			}
		})
	}
}
