package services

import (
	_ "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	_ "github.com/alexedwards/scs/v2"
	_ "github.com/cedar-policy/cedar-go"
	_ "github.com/cockroachdb/pebble/v2"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/pressly/goose/v3"
	_ "github.com/segmentio/kafka-go"
	_ "github.com/tink-crypto/tink-go/v2/aead"
	_ "github.com/twmb/franz-go/pkg/kfake"
	_ "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	_ "go.opentelemetry.io/otel/sdk/trace"
	_ "go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	_ "gocloud.dev/blob/fileblob"
	_ "golang.org/x/sync/errgroup"
	_ "github.com/gofrs/flock"
	_ "modernc.org/sqlite"
	_ "github.com/ThreeDotsLabs/watermill"
)
