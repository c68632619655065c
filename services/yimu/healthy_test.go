package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthyFailsUntilTheServiceIsReady(t *testing.T) {
	starting := &gate{}
	server := httptest.NewServer(front(starting.checks(commitPath), starting))
	defer server.Close()
	if err := (&healthyCmd{server.URL + "/livez"}).Run(t.Context()); err != nil {
		t.Errorf("it lives, but: %v", err)
	}
	if err := (&healthyCmd{server.URL + "/readyz"}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("while it starts: %v, want a 503", err)
	}
	ready := httptest.NewServer(front(nil, http.NotFoundHandler()))
	defer ready.Close()
	if err := (&healthyCmd{ready.URL + "/readyz"}).Run(t.Context()); err != nil {
		t.Errorf("it is ready, but: %v", err)
	}
	ready.Close()
	if err := (&healthyCmd{ready.URL + "/readyz"}).Run(t.Context()); err == nil {
		t.Error("nobody answers, and it is called healthy")
	}
}
