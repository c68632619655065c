package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/bundle"
)

type exportCmd struct {
	Bundle exportBundleCmd `cmd:"" help:"Make a file of all that an estate's part of the ledger can be checked with, offline and years later."`
}

type exportBundleCmd struct {
	Estate uuid.UUID `help:"Id of the estate." required:""`
	Until  string    `help:"Up to when: a position of the ledger, or a time such as 2026-03-01T00:00:00+08:00. Now unless given." placeholder:"POSITION|TIME"`
	Server string    `help:"Where the system answers; no right is needed." default:"http://127.0.0.1:8080" env:"YIMU_SERVER"`
	Data   string    `help:"Directory of a system that does not run, in place of a server." type:"existingdir" placeholder:"DIR"`
	Output string    `short:"o" help:"The file; yimu-ESTATE.zip unless given." type:"path" placeholder:"FILE"`
}

// Help is shown by yimu export bundle --help.
func (exportBundleCmd) Help() string {
	return `The file is a zip archive; docs/proof.md says what is in it. It holds what everyone may read: nothing that is sealed in the
ledger is opened. "yimu verify bundle" checks it.`
}

// Validate is asked before a server is.
func (c *exportBundleCmd) Validate() error {
	if c.Until == "" {
		return nil
	}
	_, noPosition := strconv.ParseUint(c.Until, 10, 64)
	if _, noTime := time.Parse(time.RFC3339, c.Until); noPosition != nil && noTime != nil {
		return fmt.Errorf("--until: %q is neither a position of the ledger, a whole number such as 120345, nor a time with its zone, such as 2026-03-01T00:00:00+08:00", c.Until)
	}
	return nil
}

func (c *exportBundleCmd) Run(ctx context.Context) error {
	path := c.Output
	if path == "" {
		path = "yimu-" + c.Estate.String() + ".zip"
	}
	var m proof.Manifest
	export := func(ctx context.Context, server string) error {
		bar := &bar{}
		defer bar.end()
		return writeFile(path, func(w io.Writer) (err error) {
			m, err = bundle.Export{
				Client: http.DefaultClient, Server: strings.TrimRight(server, "/"), Estate: c.Estate.String(), Until: c.Until, Program: version(), Made: time.Now(),
				Progress: func(done, total uint64) { bar.step("leaves", int(done), int(total)) },
			}.Write(ctx, w)
			return err
		})
	}
	var err error
	if c.Data == "" {
		err = export(ctx, c.Server)
	} else {
		err = offline(ctx, c.Data, func(ctx context.Context, s *Site) error { return s.serveFor(ctx, export) })
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s holds %d of the ledger's %d events, up to position %d, and %d figures.\n", path, m.Events, m.Leaves, m.Until, len(m.Figures))
	for _, a := range m.Absent {
		fmt.Fprintf(os.Stderr, "not in it: %s (%s)\n", a.What, a.Reason)
	}
	return nil
}

// writeFile writes a file whole or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is there and no file: name another", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no directory %s", filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already where all went well
	if err := errors.Join(write(f), f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// serveFor answers, on an address of its own, for as long as do takes.
func (s *Site) serveFor(ctx context.Context, do func(ctx context.Context, server string) error) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- service.Serve(serving, l, s.Handler()) }()
	err = do(ctx, "http://"+l.Addr().String())
	stop()
	return errors.Join(err, <-served)
}
