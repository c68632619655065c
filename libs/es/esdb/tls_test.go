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
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/yimu-ledger/yimu/libs/es/esdb"
	"github.com/yimu-ledger/yimu/libs/es/esdbserver"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

func TestCredentialsOfTheConnectionStringAllowToAppend(t *testing.T) {
	certificate, file := selfSigned(t)
	store, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
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
	t.Cleanup(func() { g.Stop(); must(t, store.Close()) })

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
