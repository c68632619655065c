package cluster

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"
)

// KafkaConfig says what Kafka to start.
type KafkaConfig struct {
	// Brokers is 1, or 3: then each partition has three copies, and a write is
	// acknowledged by at least two. 0 means 1.
	Brokers int
	// Via names clients that reach the brokers through proxies. Each gets
	// listeners of its own, which [Kafka.Via] returns. Kafka tells its clients
	// where to connect, so one listener cannot serve two ways.
	Via []string
	// Secure adds a listener that asks for TLS and a password: see [Kafka.Secure].
	Secure bool
	// Settings are further lines of server.properties, such as
	// "offsets.topic.num.partitions=50". They win over the rig's own.
	Settings []string
}

// Kafka is a running Apache Kafka, each broker a controller too.
type Kafka struct {
	Brokers []*Broker
	Secure  Secure // of KafkaConfig.Secure
}

// Broker is one process of Kafka, on a directory of its own.
type Broker struct {
	*Process
	Addr string
	via  map[string]Way
	safe string // address of the secure listener
}

// Way is how one client reaches a broker: it is told to connect to Advertised,
// where something must pass its bytes on to Listen.
type Way struct{ Advertised, Listen string }

// Addrs are the addresses of all brokers.
func (k *Kafka) Addrs() []string {
	var addrs []string
	for _, b := range k.Brokers {
		addrs = append(addrs, b.Addr)
	}
	return addrs
}

// Via returns the ways of a client that KafkaConfig.Via names, by broker.
func (k *Kafka) Via(client string) []Way {
	var ways []Way
	for _, b := range k.Brokers {
		ways = append(ways, b.via[client])
	}
	return ways
}

// Kafka starts Apache Kafka and returns when every broker knows all others.
func (c *Cluster) Kafka(ctx context.Context, config KafkaConfig) (*Kafka, error) {
	n := max(config.Brokers, 1)
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, errors.New("cluster: Kafka needs Java 17; install it (Debian: apt-get install openjdk-17-jre-headless)")
	}
	jars, err := kafkaJars(ctx)
	if err != nil {
		return nil, err
	}
	k := &Kafka{}
	if config.Secure {
		k.Secure = Secure{User: "yimu", Password: "of-the-rig"}
	}
	dir := filepath.Join(c.Dir, "kafka")
	var voters, controllers []string
	for i := range n {
		controller := FreeAddr()
		controllers = append(controllers, controller)
		voters = append(voters, fmt.Sprintf("%d@%s:%s", i+1, controller, diskID(i+1)))
	}
	for i := range n {
		b := &Broker{Addr: FreeAddr(), via: map[string]Way{}}
		name := "kafka"
		heap := "-Xmx512m"
		if n > 1 {
			name, heap = fmt.Sprintf("kafka-%d", i+1), "-Xmx256m"
		}
		home := filepath.Join(dir, name)
		if err := os.MkdirAll(home, 0o755); err != nil {
			return nil, fmt.Errorf("cluster: %w", err)
		}
		for _, client := range config.Via {
			b.via[client] = Way{Advertised: FreeAddr(), Listen: FreeAddr()}
		}
		if config.Secure {
			b.safe = FreeAddr()
			k.Secure.Addrs = append(k.Secure.Addrs, b.safe)
		}
		properties := filepath.Join(home, "server.properties")
		if err := os.WriteFile(properties, []byte(c.serverProperties(k, b, config, i+1, controllers, home)), 0o600); err != nil {
			return nil, fmt.Errorf("cluster: %w", err)
		}
		run := func(main string, args ...string) []string {
			return append([]string{
				java, heap, "-XX:+UseSerialGC", "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
				"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
				"-cp", filepath.Join(jars, "*"), main,
			}, args...)
		}
		format := []string{"format", "--config", properties, "--cluster-id", "eWltdS15aW11LXlpbXUteQ"}
		if n == 1 {
			format = append(format, "--standalone")
		} else {
			format = append(format, "--initial-controllers", strings.Join(voters, ","))
		}
		if config.Secure {
			for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
				format = append(format, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, k.Secure.User, k.Secure.Password))
			}
		}
		args := run("kafka.tools.StorageTool", format...)
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("cluster: format the disk of %s: %w\n%s", name, err, out)
		}
		b.Process = c.add(&Process{
			Name: name, Args: run("kafka.Kafka", properties), Dir: home, end: syscall.SIGTERM,
			ready: func(ctx context.Context) error { return answers(ctx, b.Addr, 1) },
		})
		k.Brokers = append(k.Brokers, b)
	}
	var g errgroup.Group
	for _, b := range k.Brokers { // at once: one of three alone elects nobody
		g.Go(func() error { return b.Start(ctx) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, b := range k.Brokers {
		if err := until(ctx, func(ctx context.Context) error { return answers(ctx, b.Addr, n) }); err != nil {
			return nil, fmt.Errorf("cluster: %s does not know all brokers: %w", b.Name, err)
		}
	}
	return k, nil
}

// diskID names a controller's disk, as Kafka wants to know before it formats it.
func diskID(broker int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "yimu rig disk %02d", broker))
}

func (c *Cluster) serverProperties(k *Kafka, b *Broker, config KafkaConfig, id int, controllers []string, home string) string {
	n := len(controllers)
	type listener struct{ name, protocol, listen, advertised string }
	listeners := []listener{{"PLAIN", "PLAINTEXT", b.Addr, b.Addr}}
	for client, way := range b.via {
		listeners = append(listeners, listener{"VIA_" + strings.ToUpper(client), "PLAINTEXT", way.Listen, way.Advertised})
	}
	if b.safe != "" {
		listeners = append(listeners, listener{"SAFE", "SASL_SSL", b.safe, b.safe})
	}
	listens, advertised, protocols := []string{"CONTROLLER://" + controllers[id-1]}, []string(nil), []string{"CONTROLLER:PLAINTEXT"}
	for _, l := range listeners {
		listens = append(listens, l.name+"://"+l.listen)
		advertised = append(advertised, l.name+"://"+l.advertised)
		protocols = append(protocols, l.name+":"+l.protocol)
	}
	lines := []string{
		"process.roles=broker,controller",
		fmt.Sprintf("node.id=%d", id),
		"controller.quorum.bootstrap.servers=" + strings.Join(controllers, ","),
		"controller.listener.names=CONTROLLER",
		"inter.broker.listener.name=PLAIN",
		"listeners=" + strings.Join(listens, ","),
		"advertised.listeners=" + strings.Join(advertised, ","),
		"listener.security.protocol.map=" + strings.Join(protocols, ","),
		"log.dirs=" + filepath.Join(home, "data"),
		"auto.create.topics.enable=false",
		fmt.Sprintf("default.replication.factor=%d", n),
		fmt.Sprintf("min.insync.replicas=%d", max(1, n-1)),
		fmt.Sprintf("offsets.topic.replication.factor=%d", n),
		"offsets.topic.num.partitions=8",
		fmt.Sprintf("transaction.state.log.replication.factor=%d", n),
		fmt.Sprintf("transaction.state.log.min.isr=%d", max(1, n-1)),
		fmt.Sprintf("share.coordinator.state.topic.replication.factor=%d", n),
		fmt.Sprintf("share.coordinator.state.topic.min.isr=%d", max(1, n-1)),
		"group.initial.rebalance.delay.ms=0",
		// A broker that died is noticed by its silence. By default that takes 9 s,
		// and a new controller begins to count anew.
		"broker.heartbeat.interval.ms=500",
		"broker.session.timeout.ms=3000",
	}
	if b.safe != "" {
		lines = append(lines, k.Secure.properties(c.keystore)...)
	}
	return strings.Join(append(lines, config.Settings...), "\n") + "\n"
}

// answers returns nil if a broker knows that so many brokers are there, itself among them.
func answers(ctx context.Context, addr string, brokers int) error {
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := kafka.Client{Addr: kafka.TCP(addr), Transport: transport}
	meta, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{}})
	if err != nil {
		return err
	}
	self := false
	for _, b := range meta.Brokers {
		self = self || net.JoinHostPort(b.Host, fmt.Sprint(b.Port)) == addr
	}
	if !self || len(meta.Brokers) < brokers {
		return fmt.Errorf("%d of %d brokers are there", len(meta.Brokers), brokers)
	}
	return nil
}

const (
	kafkaVersion = "4.1.0"
	kafkaPOM     = `<project><modelVersion>4.0.0</modelVersion><groupId>yimu</groupId><artifactId>kafka</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>` + kafkaVersion + `</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
`
)

// kafkaJars returns the directory of Kafka's jars, and fetches them if need be.
func kafkaJars(ctx context.Context) (string, error) {
	cache := os.Getenv("YIMU_KAFKA_JARS")
	if cache == "" {
		root, err := repository()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(root, ".cache", "kafka")
	}
	jars := filepath.Join(cache, kafkaVersion)
	if _, err := os.Stat(jars); err == nil {
		return jars, nil
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return "", errors.New("cluster: Kafka is fetched by Maven; install it (Debian: apt-get install maven)")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("cluster: %w", err)
	}
	// Beside its place and then into it: whoever comes at the same time finds all or nothing.
	fetched, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return "", fmt.Errorf("cluster: %w", err)
	}
	defer func() { _ = os.RemoveAll(fetched) }()
	pom := filepath.Join(fetched, "pom.xml")
	if err := os.WriteFile(pom, []byte(kafkaPOM), 0o600); err != nil {
		return "", fmt.Errorf("cluster: %w", err)
	}
	lib := filepath.Join(fetched, "lib")
	out, err := exec.CommandContext(ctx, mvn, "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory="+lib).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cluster: Kafka's jars cannot be fetched; is Maven Central within reach? %w\n%s", err, out)
	}
	if err := os.Rename(lib, jars); err != nil {
		if _, there := os.Stat(jars); there != nil {
			return "", fmt.Errorf("cluster: %w", err)
		}
	}
	return jars, nil
}

// repository is the directory above this one that holds the workspace.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("cluster: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("cluster: run it inside the repository, or say in YIMU_KAFKA_JARS where Kafka's jars may be kept")
		}
		dir = parent
	}
}
