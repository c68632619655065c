package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// healthyCmd is for images without a shell, whose engine asks by running a command.
type healthyCmd struct {
	URL string `arg:"" help:"What to ask, e.g. http://127.0.0.1:8080/readyz."`
}

// Run fails, with what was answered, unless the answer is 200.
func (c *healthyCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("%s: %s", resp.Status, body)
	}
	return nil
}
