package main

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/url"

	"github.com/yimu-ledger/yimu/libs/tlog"
)

// tlogFlags say what signs the transparency log.
type tlogFlags struct {
	TlogKey    string `help:"Key file of the transparency log, the same for all instances; made at the first start, if it is missing and the log is new. yimu up has one in its data directory." env:"YIMU_TLOG_KEY" type:"path" placeholder:"FILE" for:"ledger" needs:"ledger"`
	TlogOrigin string `help:"Name of the log for a key that is made, such as yimu.example/log: no other log in the world may have it. None: one that is drawn." env:"YIMU_TLOG_ORIGIN" placeholder:"NAME" for:"ledger"`
}

// open opens the log in a directory. A key that is made has the name of the
// flags or, where there is none, one that is drawn for the host of the site.
func (f tlogFlags) open(dir, key, site string, log *slog.Logger) (*tlog.Log, error) {
	origin := f.TlogOrigin
	if origin == "" {
		origin = drawOrigin(site)
	}
	return tlog.Open(tlog.Config{Dir: dir, KeyFile: key, Origin: origin, Log: log})
}

// drawOrigin returns a name that no other log has: two with one name could not
// be told apart by those who check them.
func drawOrigin(site string) string {
	host := "yimu"
	if u, err := url.Parse(site); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	drawn := make([]byte, 4)
	_, _ = rand.Read(drawn) // never fails
	return host + "/" + hex.EncodeToString(drawn)
}
