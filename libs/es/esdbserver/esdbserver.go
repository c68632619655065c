// Package esdbserver speaks the EventStoreDB protocol over an [es.Store], so
// that any EventStoreDB or KurrentDB client can read the ledger, and the ledger
// can append to a store in another process.
//
// Offered: reading and following a stream or all events, forwards, backwards
// and filtered; appending, where Config.Append allows it; what clients ask when
// they connect (server features, gossip). Nothing that would change what is
// recorded, and no persistent subscriptions or projections. [Serve] is all of
// it on a listener.
//
// Differences to EventStoreDB: reads of all events hold no system events and no
// links, because an [es.Store] shows none; any position is good to start from;
// and checkpoints come as soon as the store tells where it stands.
package esdbserver

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/yimu-ledger/yimu/libs/es"
)

// version is the EventStoreDB whose protocol is spoken.
const version = "23.10.0"

// Config is what differs between servers. The zero value serves readers only.
type Config struct {
	// Append says whether the caller may append; ctx holds its metadata and
	// peer. An error refuses, and is logged. Nobody may if nil.
	Append func(ctx context.Context) error

	// Advertise is the host:port at which clients reach this server. If empty,
	// each client is told the address that its connection came to.
	Advertise string

	Logger *slog.Logger // of failures of the store; slog.Default() if nil

	Faults *Faults // for tests only
}

// Server answers EventStoreDB clients.
type Server struct {
	store  es.Store
	config Config
	id     uuid.UUID // of this node in gossip

	mu    sync.Mutex
	drops map[*context.CancelCauseFunc]struct{} // of open subscriptions
}

// New returns a server over store, which stays the caller's to close.
//
// A store that also has Head() es.Position, the position of its last event, and
// Length(stream string) (uint64, error) is asked by them where a client wants
// the end; any other is read from its start for that.
func New(store es.Store, config Config) *Server {
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Faults == nil {
		config.Faults = &Faults{}
	}
	return &Server{store: store, config: config, id: uuid.New(), drops: map[*context.CancelCauseFunc]struct{}{}}
}

// pingTime is after how long of silence a client is asked whether it is there,
// and how long it may take to answer. Clients ask as often.
const pingTime = 10 * time.Second

// Options are the options a [grpc.Server] needs for EventStoreDB clients.
// Credentials and limits are the caller's to add; [Serve] has both.
func Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingTime, Timeout: pingTime}),
		grpc.MaxRecvMsgSize(2 * es.MaxEvent), // a message holds one event at most
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(stream)
			return status.Errorf(codes.Unimplemented, "%s: this ledger offers reading, subscribing and appending, and nothing else of EventStoreDB", method)
		}),
	}
}

// Register adds the services to s, which should be made with [Options].
func (s *Server) Register(g *grpc.Server) {
	streams.RegisterStreamsServer(g, &streamsServer{Server: s})
	gossip.RegisterGossipServer(g, &gossipServer{Server: s})
	serverfeatures.RegisterServerFeaturesServer(g, featuresServer{})
}

// Drop ends every open subscription, so that clients resume elsewhere or later.
// Call it before grpc.Server.GracefulStop, which waits for subscriptions.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for drop := range s.drops {
		(*drop)(errDropped)
	}
}

var errDropped = status.Error(codes.Unavailable, "subscription dropped by the server")

// subscribed returns a context that Drop ends.
func (s *Server) subscribed(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops[&cancel] = struct{}{}
	return ctx, func() {
		cancel(nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.drops, &cancel)
	}
}

type gossipServer struct {
	gossip.UnimplementedGossipServer
	*Server
}

// Read says that this is a cluster of one, its leader.
func (s *gossipServer) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	address := s.config.Advertise
	if p, ok := peer.FromContext(ctx); ok && address == "" && p.LocalAddr != nil {
		address = p.LocalAddr.String()
	}
	host, port, _ := net.SplitHostPort(address)
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, status.Error(codes.Unavailable, "this server does not know its address")
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId:   structured(s.id),
		TimeStamp:    ticks(time.Now()),
		State:        gossip.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(number)},
	}}}, nil
}

type featuresServer struct {
	serverfeatures.UnimplementedServerFeaturesServer
}

func (featuresServer) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	answer := &serverfeatures.SupportedMethods{EventStoreServerVersion: version}
	for service, methods := range map[string][]string{
		"event_store.client.streams.streams":                {"read", "append"},
		"event_store.client.gossip.gossip":                  {"read"},
		"event_store.client.server_features.serverfeatures": {"getsupportedmethods"},
	} {
		for _, m := range methods {
			answer.Methods = append(answer.Methods, &serverfeatures.SupportedMethod{ServiceName: service, MethodName: m})
		}
	}
	return answer, nil
}
