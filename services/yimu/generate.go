package main

import (
	"fmt"

	"github.com/yimu-ledger/yimu/services/yimu/internal/invented"
)

type generateCmd struct {
	Dir   string `arg:"" help:"Folder for the papers; made where it is not there." type:"path"`
	Homes int    `help:"Homes of the estate. For sixty there are 85 titles, 180 payments and 97 ballots." default:"60000"`
	Seed  uint64 `help:"Another seed gives another estate; the same gives the same files." default:"1"`
}

// Help is shown by yimu generate --help.
func (generateCmd) Help() string {
	return `Nobody in it exists. The folder holds what yimu import takes, and in ` + invented.Second + ` the papers of a second meeting, to
be imported after it; expected.json in each says what the papers must lead to.`
}

func (c *generateCmd) Run() error {
	w, err := invented.Estate{Homes: c.Homes, Seed: c.Seed}.Write(c.Dir)
	if err == nil {
		fmt.Printf("%d units, %d titles of %d people, %d payments, %d vouchers, %d work orders, %d ballots in two meetings\n",
			w.Units, w.Titles, w.People, w.Payments, w.Vouchers, w.WorkOrders.Total, w.Ballots.Rows+w.Second.Ballots.Rows)
	}
	return err
}
