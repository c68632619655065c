package esdbserver_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/esdbserver"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

// run serves a store in memory as a process does, until stop.
func run(t *testing.T, config esdbserver.ServeConfig) (store *pebblestore.Store, address string, stop func() error) {
	t.Helper()
	store, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	config.Logger = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- esdbserver.Serve(ctx, l, store, config); close(served) }()
	stop = func() error { cancel(); return <-served }
	t.Cleanup(func() {
		must(t, stop())
		must(t, store.Close())
	})
	return store, l.Addr().String(), stop
}

func connect(t *testing.T, connectionString string) *client.Client {
	t.Helper()
	settings, err := client.ParseConnectionString(connectionString)
	must(t, err)
	settings.Logger = client.NoopLogging()
	c, err := client.NewClient(settings)
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

// certificate makes one for 127.0.0.1, in files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	cert, key = filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return cert, key
}

func TestServeTakesAppendsFromWhomItShould(t *testing.T) {
	cert, key := certificate(t)
	for name, c := range map[string]struct {
		config esdbserver.ServeConfig
		may    map[string]bool // by form of the connection string
	}{
		"readers only": {esdbserver.ServeConfig{}, map[string]bool{"esdb://%s?tls=false": false}},
		"anyone here":  {esdbserver.ServeConfig{Append: true}, map[string]bool{"esdb://%s?tls=false": true, "esdb://a:b@%s?tls=false": true}},
		"the user, by TLS": {
			esdbserver.ServeConfig{Cert: cert, Key: key, Append: true, User: "ledger", Password: "p:ss wörd"},
			map[string]bool{
				"esdb://ledger:p%%3Ass%%20w%%C3%%B6rd@%s?tlsCaFile=" + cert: true,
				"esdb://ledger:guess@%s?tlsCaFile=" + cert:                  false,
				"esdb://other:p%%3Ass%%20w%%C3%%B6rd@%s?tlsCaFile=" + cert:  false,
				"esdb://%s?tlsCaFile=" + cert:                               false,
			},
		},
		"readers only, by TLS": {
			esdbserver.ServeConfig{Cert: cert, Key: key, User: "ledger", Password: "secret"},
			map[string]bool{"esdb://ledger:secret@%s?tlsCaFile=" + cert: false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, address, _ := run(t, c.config)
			fill(t, store)
			for form, may := range c.may {
				to := connect(t, fmt.Sprintf(form, address))
				before := store.Head()
				_, err := to.AppendToStream(t.Context(), "a-"+uuid.NewString(), client.AppendToStreamOptions{ExpectedRevision: client.NoStream{}},
					client.EventData{EventID: uuid.New(), EventType: "new.v1", Data: []byte("{}")})
				switch {
				case may && err != nil, !may && !hasCode(err, client.ErrorCodeAccessDenied):
					t.Errorf("%s: %v", form, err)
				case may != (store.Head() > before):
					t.Errorf("%s: recorded is %v", form, !may)
				}
				r, err := to.ReadStream(t.Context(), "unit-1", client.ReadStreamOptions{}, 9) // anyone may
				must(t, err)
				if n := len(collect(t, r)); n != 5 {
					t.Errorf("%s: read %d events, want 5", form, n)
				}
			}
		})
	}
}

func TestServeRefusesWhatNobodyCouldUse(t *testing.T) {
	cert, key := certificate(t)
	for name, c := range map[string]struct {
		config esdbserver.ServeConfig
		at     string
		says   string
	}{
		"appending in plain text from elsewhere":  {esdbserver.ServeConfig{Append: true}, "0.0.0.0:0", "without TLS anyone could append"},
		"credentials in plain text":               {esdbserver.ServeConfig{Append: true, User: "ledger", Password: "secret"}, "127.0.0.1:0", "only sent over TLS"},
		"appending over TLS without a user":       {esdbserver.ServeConfig{Append: true, Cert: cert, Key: key}, "127.0.0.1:0", "needs a user and a password"},
		"appending over TLS without a password":   {esdbserver.ServeConfig{Append: true, Cert: cert, Key: key, User: "ledger"}, "127.0.0.1:0", "needs a user and a password"},
		"a certificate without its key":           {esdbserver.ServeConfig{Cert: cert}, "127.0.0.1:0", "not one of them"},
		"a certificate that is none":              {esdbserver.ServeConfig{Cert: key, Key: cert}, "127.0.0.1:0", "certificate"},
		"a certificate that is none, for readers": {esdbserver.ServeConfig{Cert: "missing", Key: key}, "127.0.0.1:0", "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", c.at)
			must(t, err)
			err = esdbserver.Serve(t.Context(), l, nil, c.config)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
				t.Error("it still listens")
			}
		})
	}
}

func TestServeEndsAlthoughSubscribersStay(t *testing.T) {
	store, address, stop := run(t, esdbserver.ServeConfig{})
	fill(t, store)
	sub, err := connect(t, fmt.Sprintf(direct, address)).SubscribeToAll(t.Context(), client.SubscribeToAllOptions{From: client.End{}})
	must(t, err)
	for m := sub.Recv(); m.CaughtUp == nil; m = sub.Recv() {
	}
	start := time.Now()
	must(t, stop())
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("ended only after %v", took)
	}
	if m := sub.Recv(); m.SubscriptionDropped == nil {
		t.Errorf("got %+v, want dropped", m)
	}
}

func TestServeEndsAlthoughAReaderDoesNotRead(t *testing.T) {
	store, address, stop := run(t, esdbserver.ServeConfig{})
	for i := range uint64(100) {
		_, err := store.Append(t.Context(), "a-1", i, proposed(60<<10))
		must(t, err)
	}
	stalled(t, address)
	start := time.Now()
	must(t, stop())
	if took := time.Since(start); took > patience {
		t.Errorf("ended only after %v", took)
	}
}

// stalled opens a read of all events, and takes no more than the first.
func stalled(t *testing.T, address string) {
	t.Helper()
	c, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	in, err := streams.NewStreamsClient(c).Read(t.Context(), readAll())
	must(t, err)
	_, err = in.Recv()
	must(t, err)
}

func readAll() *streams.ReadReq {
	return &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}},
		CountOption:  &streams.ReadReq_Options_Count{Count: 1 << 60},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
	}}
}

func TestAnAppendWithoutEndIsCutOff(t *testing.T) {
	_, address, _ := run(t, esdbserver.ServeConfig{})
	c, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := streams.NewStreamsClient(c).Append(ctx)
	must(t, err)
	for err == nil {
		err = out.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{Data: make([]byte, 1<<10)}}})
	}
	if _, err := out.CloseAndRecv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v, want that it is too large", err)
	}
}

func proposed(size int) es.Proposed {
	return es.Proposed{ID: uuid.New(), Type: "large.v1", Data: make([]byte, size)}
}
