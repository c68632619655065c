// Command with runs a command with the Kafka and PostgreSQL that its tests
// need: go run ./services/yimu/internal/cluster/with go test ./libs/bus
//
// What YIMU_TEST_KAFKA and YIMU_TEST_DATABASE do not name already it starts,
// names in these variables, and stops when the command has ended.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/yimu-ledger/yimu/services/yimu/internal/cluster"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: with COMMAND…")
		os.Exit(2)
	}
	err := with(os.Args[1:])
	if failed, ok := errors.AsType[*exec.ExitError](err); ok && failed.ExitCode() > 0 {
		os.Exit(failed.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "with: "+err.Error())
		os.Exit(1)
	}
}

func with(command []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := cluster.New()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	env, err := start(ctx, c)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd.Run()
}

// start starts what the environment does not name and returns how to find it.
func start(ctx context.Context, c *cluster.Cluster) (env []string, err error) {
	if os.Getenv("YIMU_TEST_KAFKA") == "" {
		k, err := c.Kafka(ctx, cluster.KafkaConfig{})
		if err != nil {
			return nil, err
		}
		env = append(env, "YIMU_TEST_KAFKA="+k.Brokers[0].Addr)
	}
	if os.Getenv("YIMU_TEST_DATABASE") == "" {
		p, err := c.Postgres(ctx, cluster.PostgresConfig{})
		if err != nil {
			return nil, err
		}
		env = append(env, "YIMU_TEST_DATABASE="+p.URL("yimu"))
	}
	return env, nil
}
