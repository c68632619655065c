package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Proxy stands between a client and the address of a part, and passes on what
// they say until it is told otherwise. Its methods may be called from one
// goroutine at a time.
type Proxy struct {
	Name  string
	Addr  string // for the client
	proxy *toxiproxy.Proxy
}

// Proxy starts a proxy at an address before another one.
func (c *Cluster) Proxy(name, at, before string) (*Proxy, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &Proxy{Name: name, Addr: at, proxy: toxiproxy.NewProxy(server, name, at, before)}
	c.mu.Lock()
	c.proxies = append(c.proxies, p)
	c.mu.Unlock()
	if err := p.proxy.Start(); err != nil {
		return nil, fmt.Errorf("cluster: proxy %s: %w", name, err)
	}
	return p, nil
}

// Cut closes all connections and takes no new ones.
func (p *Proxy) Cut() error { p.proxy.Stop(); return nil }

// Swallow keeps all connections open and takes new ones, and nothing of what is
// said arrives: to each end the other is silent. Heal closes them.
func (p *Proxy) Swallow() error { return p.both("timeout", map[string]any{"timeout": 0}) }

// Reset breaks every connection that is made or used, in the middle of what is
// said, as a machine does that knows nothing of it.
func (p *Proxy) Reset() error { return p.both("reset_peer", map[string]any{"timeout": 0}) }

// Slow delays what is said, in each direction by so much, more or less by half.
func (p *Proxy) Slow(by time.Duration) error {
	return p.both("latency", map[string]any{"latency": by.Milliseconds(), "jitter": by.Milliseconds() / 2})
}

func (p *Proxy) both(kind string, attributes map[string]any) error {
	for _, direction := range []string{"upstream", "downstream"} {
		toxic, err := json.Marshal(map[string]any{"name": kind + " " + direction, "type": kind, "stream": direction, "toxicity": 1, "attributes": attributes})
		if err != nil {
			return fmt.Errorf("cluster: proxy %s: %w", p.Name, err)
		}
		if _, err := p.proxy.Toxics.AddToxicJson(bytes.NewReader(toxic)); err != nil {
			return fmt.Errorf("cluster: proxy %s: %w", p.Name, err)
		}
	}
	return nil
}

// Heal passes everything on again. Connections that were slowed stay.
func (p *Proxy) Heal(ctx context.Context) error {
	p.proxy.Toxics.ResetToxics(ctx)
	if p.proxy.Enabled {
		return nil
	}
	if err := p.proxy.Start(); err != nil {
		return fmt.Errorf("cluster: proxy %s: %w", p.Name, err)
	}
	return nil
}
