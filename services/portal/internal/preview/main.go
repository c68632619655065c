// Command preview serves the portal over the stand-in API, to look at pages
// without a ledger. Codes to log in with: owner-code, clerk-code.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/alexedwards/scs/v2/memstore"

	"github.com/yimu-ledger/yimu/services/portal"
	"github.com/yimu-ledger/yimu/services/portal/internal/apitest"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to serve at")
	flag.Parse()
	if err := run(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "preview:", err)
		os.Exit(1)
	}
}

func run(address string) error {
	site, err := portal.New(portal.Config{
		Services: apitest.New().Services(), Sessions: memstore.New(), Clock: time.Now, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Operator: portal.Operator{
			Name: "秀山社区居民委员会", Contact: "秀山社区服务中心,津头街道秀山路 1 号,工作日 9:00–17:30",
			Complaints: "向居民委员会或津头街道办事处提出,七日内答复。", Privacy: "个人信息由秀山社区居民委员会负责,可以到服务中心查询、更正和删除。",
		},
	})
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String() + "/estates/" + apitest.Estate)
	return (&http.Server{Handler: site, ReadHeaderTimeout: 5 * time.Second}).Serve(l)
}
