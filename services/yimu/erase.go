package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
)

type eraseCmd struct {
	Person string `arg:"" help:"Id of the person."`
	Ground string `help:"Why: own-request, no-longer-needed, unlawful or legal-request. It stands in the ledger, for everyone." required:"" enum:"own-request,no-longer-needed,unlawful,legal-request"`
	Server string `help:"Where the system answers." default:"http://127.0.0.1:8080" env:"YIMU_SERVER"`
	Token  string `help:"Access token of an administrator of all estates; see yimu token." required:"" env:"YIMU_TOKEN"`
}

// Run erases. It may be repeated: what is recorded is finished, never done twice.
func (c *eraseCmd) Run(ctx context.Context) error {
	if _, err := uuid.Parse(c.Person); err != nil {
		return fmt.Errorf("%q is no id of a person: it is a UUID", c.Person)
	}
	address := strings.TrimRight(c.Server, "/") + service.Prefix + "/people/" + c.Person + "?" + url.Values{"ground": {c.Ground}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, address, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Idempotency-Key", "erase-"+c.Person)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusCreated:
		fmt.Fprintf(os.Stderr, "%s is erased. Backups made before still hold the key: delete them when their time is over.\n", c.Person)
		return nil
	case http.StatusOK:
		fmt.Fprintf(os.Stderr, "%s was erased before.\n", c.Person)
		return nil
	case http.StatusAccepted:
		return errors.New("it is not known yet whether the erasure is done; run the same again")
	}
	refused, ok := problem.Read(resp)
	if !ok {
		return fmt.Errorf("%s does not answer like a yimu server (%s)", c.Server, resp.Status)
	}
	return refused
}
