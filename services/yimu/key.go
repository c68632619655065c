package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/tlog"
	"github.com/yimu-ledger/yimu/libs/vault"
)

// keyCmd is about key files. Those that are made before anything runs are for a
// cluster's secrets; a system makes its own at its first start.
type keyCmd struct {
	Vault  vaultKeyCmd  `cmd:"" help:"Make the key file of a vault that is not there yet."`
	Log    makeKeyCmd   `cmd:"" help:"Make the key file of a transparency log that is not there yet, and print its public key."`
	Show   showKeyCmd   `cmd:"" help:"Print the public keys of the transparency log, the one that signs first."`
	Estate estateKeyCmd `cmd:"" help:"Print the key that opens an estate's payments, for whoever may check them."`
	Rotate rotateKeyCmd `cmd:"" help:"Put a new key on top of the key file of the transparency log."`
}

type vaultKeyCmd struct {
	File string `arg:"" help:"Where it is written, of mode 0600. Keep a copy apart from every backup: without it the vault is noise." type:"path"`
}

// Run never replaces a file: its vault could not be read any more.
func (c *vaultKeyCmd) Run() error {
	return made(c.File, vault.CreateKey(c.File))
}

type makeKeyCmd struct {
	File       string `arg:"" help:"Where it is written, of mode 0600. Whoever has it signs for the log." type:"path"`
	TlogOrigin string `help:"Name of the log, such as yimu.example/2026: no other log in the world may have it." required:"" placeholder:"NAME"`
}

func (c *makeKeyCmd) Run() error {
	if err := made(c.File, tlog.CreateKey(c.File, c.TlogOrigin)); err != nil {
		return err
	}
	return (&showKeyCmd{c.File}).Run()
}

// made says why a key file was not.
func made(file string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; a key is not replaced", file)
	}
	return err
}

type showKeyCmd struct {
	File string `arg:"" optional:"" help:"The key file." default:"data/keys/log.key" env:"YIMU_TLOG_KEY" type:"path"`
}

// Help is shown by yimu key show --help.
func (showKeyCmd) Help() string {
	return `Whoever checks the log needs the first of these, from your hand and not from the site: print it, sign it, put it where others
can see it. Each is origin+hash+key, as in signed notes. Nothing in it is secret.`
}

func (c *showKeyCmd) Run() error {
	keys, err := tlog.PublicKeys(c.File)
	if err != nil {
		return err
	}
	for _, key := range keys {
		fmt.Println(key.Text)
	}
	return nil
}

type estateKeyCmd struct {
	Estate uuid.UUID `arg:"" help:"Id of the estate."`
	Data   string    `help:"Directory of a system that does not run." default:"data" env:"YIMU_DATA" type:"path"`
}

// Help is shown by yimu key estate --help.
func (estateKeyCmd) Help() string {
	return `yimu verify bundle --estate-key takes it, in a file. It is secret: whoever has it can read which unit paid what and which did
not, what is still to come too, and it cannot be taken back.`
}

// Run makes no key: of an estate that never had one there is nothing to open.
func (c *estateKeyCmd) Run(ctx context.Context) error {
	return offline(ctx, c.Data, func(ctx context.Context, s *Site) error {
		subject := vault.EstateKey(c.Estate.String())
		known, err := s.vault.Knows(ctx, subject)
		if err != nil {
			return err
		}
		if !known {
			return fmt.Errorf("estate %s has no key: no payment of it was ever recorded here", c.Estate)
		}
		key, err := s.vault.ReleaseKey(ctx, subject)
		if err != nil {
			return err
		}
		_, err = fmt.Println(key)
		return err
	})
}

type rotateKeyCmd struct {
	File string `arg:"" optional:"" help:"The key file. It is changed." default:"data/keys/log.key" env:"YIMU_TLOG_KEY" type:"path"`
}

// Help is shown by yimu key rotate --help.
func (rotateKeyCmd) Help() string {
	return `The new key signs from the next start of yimu up, or of the ledgers, on. The old one signs too for as long as its line stands
below, so that nobody is surprised. That start records the rotation, signed by both keys, in the stream log-keys; receipts
carry it from then on, and whoever trusts the old key is led to the new one.

Copy the file away before. Print the new public key where you printed the old one. Once everyone knows it, remove the old
line and start again. Where the key file is a secret of Kubernetes, rotate a copy of it and put that in its place.`
}

func (c *rotateKeyCmd) Run() error {
	r, err := tlog.RotateKey(c.File)
	if err != nil {
		return err
	}
	fmt.Println(r.New.Text)
	fmt.Fprintf(os.Stderr, "This key signs the log from its next start on, beside the old one, %s.\n", r.Old.Text)
	return nil
}
