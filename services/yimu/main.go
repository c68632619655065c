// Command yimu is the whole system in one binary: it runs the services, imports
// an office's papers, and keeps the keys to them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"
)

type cli struct {
	Up       upCmd       `cmd:"" help:"Run everything in one process, on one directory."`
	Serve    serveCmd    `cmd:"" help:"Run one service of a cluster, on Kafka, EventStoreDB and PostgreSQL."`
	Import   ImportCmd   `cmd:"" help:"Import the papers of an estate through the API."`
	Generate generateCmd `cmd:"" help:"Write the papers of an invented estate of any size, to measure or to try with."`
	Token    tokenCmd    `cmd:"" help:"Issue an access token and print it, and nothing else."`
	Erase    eraseCmd    `cmd:"" help:"Erase a person for ever, through the API: their key is destroyed."`
	Export   exportCmd   `cmd:"" help:"Take out of the ledger what can be checked offline."`
	Rebuild  rebuildCmd  `cmd:"" help:"Empty the read models and replay them from the ledger."`
	Backup   backupCmd   `cmd:"" help:"Copy a system, while it runs or not."`
	Restore  restoreCmd  `cmd:"" help:"Make a data directory of a backup."`
	Verify   verifyCmd   `cmd:"" help:"Check, offline and without trust in whoever runs the servers, what is proven."`
	Key      keyCmd      `cmd:"" help:"Make the key files of a vault and of a transparency log; show or rotate the one that signs the log; print that of an estate's payments."`
	Bench    benchCmd    `cmd:"" help:"Measure this machine."`
	Healthy  healthyCmd  `cmd:"" help:"Ask a running service for its health: for containers, which have nothing else to ask with."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

const description = `yimu 一目 is a governance ledger for residential estates: what is promised, done, spent and decided
is an immutable event that anyone can check.

Start with "yimu up --demo" and open http://127.0.0.1:8080.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parser := newParser(ctx, &cli{})
	command, err := parser.Parse(os.Args[1:])
	if err != nil {
		parser.Stdout = os.Stderr // how it is used is no result
		parser.FatalIfErrorf(err)
	}
	err = command.Run()
	var exit exitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		os.Exit(exit.status)
	default:
		fmt.Fprintln(os.Stderr, "yimu: "+err.Error())
		os.Exit(1)
	}
}

// newParser reads command lines.
func newParser(ctx context.Context, c *cli) *kong.Kong {
	return kong.Must(c, kong.Name("yimu"), kong.Description(description), kong.ShortUsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Help(help), kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Exit(func(status int) { os.Exit(min(status, wrongUsage)) })) // its own for that is 80
}

// help tells all flags, but of yimu serve with a service only those for that service.
func help(options kong.HelpOptions, command *kong.Context) error {
	for _, p := range command.Path {
		if p.Positional == nil || p.Positional.Name != "service" {
			continue
		}
		service := command.Value(p).String()
		for _, f := range command.Flags() {
			if list := f.Tag.Get("for"); list != "" && slices.Contains(served, service) && !concerns(list, service) {
				f.Hidden = true
			}
		}
	}
	return kong.DefaultHelpPrinter(options, command)
}

// wrongUsage is the exit status of a command that was not understood, or that
// could not check what it was to check.
const wrongUsage = 2

// exitError ends the process with a status once everything that is to say was said.
type exitError struct{ status int }

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

type versionCmd struct{}

func (versionCmd) Run() error {
	fmt.Println("yimu " + version())
	return nil
}

// released is set by the linker for a release.
var released = ""

func version() string {
	if released != "" {
		return released
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
