package esdb_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/yimu-ledger/yimu/libs/es/esdb"
	"github.com/yimu-ledger/yimu/libs/es/esdbserver"
)

func TestCredentialsOfTheConnectionStringAllowToAppend(t *testing.T) {
	certificate, file := selfSigned(t)
	store := inMemory(t)
	server := esdbserver.New(store, esdbserver.Config{Logger: slog.New(slog.DiscardHandler), Append: func(ctx context.Context) error {
		if user, password, ok := esdbserver.Credentials(ctx); !ok || user != "ledger" || password != "secret" {
			return errors.New("not the ledger")
		}
		return nil
	}})
	g := grpc.NewServer(append(esdbserver.Options(), grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))...)
	server.Register(g)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)

	for user, may := range map[string]bool{"ledger:secret@": true, "ledger:guess@": false, "": false} {
		s, err := esdb.Open(esdb.Config{
			ConnectionString: fmt.Sprintf("esdb://%s%s?tlsCaFile=%s", user, l.Addr(), file), Logger: slog.New(slog.DiscardHandler),
		})
		must(t, err)
		n, err := store.Length("a-1")
		must(t, err)
		if _, err := s.Append(t.Context(), "a-1", n, events(1)...); (err == nil) != may {
			t.Errorf("%q: %v", user, err)
		}
		for _, err := range s.ReadAll(t.Context(), 0) { // anyone may
			must(t, err)
		}
		must(t, s.Close())
	}
}

// A server that cannot show whose it is gets no credentials and no events.
func TestAServerWithAnotherCertificateIsNotSpokenTo(t *testing.T) {
	certificate, _ := selfSigned(t)
	_, other := selfSigned(t)
	server := esdbserver.New(inMemory(t), esdbserver.Config{Logger: slog.New(slog.DiscardHandler), Append: func(ctx context.Context) error {
		t.Error("it was asked to append")
		return nil
	}})
	g := grpc.NewServer(append(esdbserver.Options(), grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))...)
	server.Register(g)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	s, err := esdb.Open(esdb.Config{
		ConnectionString: fmt.Sprintf("esdb://ledger:secret@%s?tlsCaFile=%s", l.Addr(), other),
		ConnectDeadline:  200 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	defer s.Close()
	if _, err := s.Append(t.Context(), "a-1", 0, events(1)...); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

// selfSigned makes a certificate for 127.0.0.1, also in a file.
func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	file := filepath.Join(t.TempDir(), "ca.crt")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
