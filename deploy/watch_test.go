package deploy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// parseYAML refuses fields that the struct does not have.
func parseYAML[T any](t *testing.T, file string) (v T) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader(read(t, file)))
	d.KnownFields(true)
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Fatalf("%s: more than one document: %v", file, err)
	}
	return v
}

type panel struct {
	Title      string
	Type       string
	Datasource struct{ UID string }
	GridPos    struct{ X, Y, W, H int }
	Targets    []struct{ Expr, RefID string }
}

type dashboard struct {
	UID        string
	Panels     []panel
	Templating struct {
		List []struct {
			Name  string
			Query struct{ Query string }
		}
	}
}

// queries are all expressions by where they stand: panels, variables, alerts.
func queries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := filepath.Glob("grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no dashboards", err)
	}
	for _, file := range files {
		var d dashboard
		if err := json.Unmarshal(read(t, file), &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				// What Grafana puts in.
				all[file+": "+p.Title+" "+target.RefID] = strings.NewReplacer("$__rate_interval", "1m", "$service", ".*").Replace(target.Expr)
			}
		}
		for _, v := range d.Templating.List {
			inner := regexp.MustCompile(`^label_values\((.*), \w+\)$`).FindStringSubmatch(v.Query.Query)
			if inner == nil {
				t.Fatalf("%s: variable %s asks %q", file, v.Name, v.Query.Query)
			}
			all[file+": variable "+v.Name] = inner[1]
		}
	}
	rules, errs := rulefmt.ParseFile("prometheus/alerts.yml", false)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			all["alert "+r.Alert] = r.Expr
		}
	}
	return all
}

func TestDashboardsAskOfTheDatasourcesThereAre(t *testing.T) {
	sources := parseYAML[struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool           `yaml:"isDefault"`
			JSONData                     map[string]any `yaml:"jsonData"`
		}
	}](t, "grafana/provisioning/datasources/prometheus.yaml")
	uids := map[string]bool{}
	p, _ := compose(t, "eventstore")
	for _, s := range sources.Datasources {
		uids[s.UID] = true
		host, _, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
		if _, found := p.Services[host]; !found {
			t.Errorf("datasource %s is at %s, which Compose does not run", s.Name, s.URL)
		}
	}
	providers := parseYAML[struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type     string
			AllowUIUpdates bool `yaml:"allowUiUpdates"`
			Options        struct{ Path string }
		}
	}](t, "grafana/provisioning/dashboards/yimu.yaml")
	grafana := p.Services["grafana"]
	home := *grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	mounted := map[string]string{}
	for _, v := range grafana.Volumes {
		mounted[v.Target] = v.Source
	}
	if len(providers.Providers) != 1 || mounted[providers.Providers[0].Options.Path] == "" || filepath.Dir(home) != providers.Providers[0].Options.Path {
		t.Errorf("dashboards are looked for at %v, home is %s, and mounted is %v", providers.Providers, home, mounted)
	}
	var d dashboard
	if err := json.Unmarshal(read(t, filepath.Join("grafana/dashboards", filepath.Base(home))), &d); err != nil {
		t.Fatal(err)
	}
	for i, a := range d.Panels {
		if a.Type != "row" && (!uids[a.Datasource.UID] || len(a.Targets) == 0) {
			t.Errorf("panel %s asks %q for %d things", a.Title, a.Datasource.UID, len(a.Targets))
		}
		if a.GridPos.X+a.GridPos.W > 24 || a.GridPos.W == 0 || a.GridPos.H == 0 {
			t.Errorf("panel %s is outside the page: %+v", a.Title, a.GridPos)
		}
		for _, b := range d.Panels[:i] {
			if a.GridPos.X < b.GridPos.X+b.GridPos.W && b.GridPos.X < a.GridPos.X+a.GridPos.W && a.GridPos.Y < b.GridPos.Y+b.GridPos.H && b.GridPos.Y < a.GridPos.Y+a.GridPos.H {
				t.Errorf("panels %s and %s lie on each other", a.Title, b.Title)
			}
		}
	}
}

func TestPrometheusAsksEveryService(t *testing.T) {
	config := parseYAML[struct {
		Global struct {
			ScrapeInterval     string `yaml:"scrape_interval"`
			EvaluationInterval string `yaml:"evaluation_interval"`
		}
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName     string `yaml:"job_name"`
			HonorLabels bool   `yaml:"honor_labels"`
			DNS         []struct {
				Names           []string
				Type            string
				Port            int
				RefreshInterval string `yaml:"refresh_interval"`
			} `yaml:"dns_sd_configs"`
			Relabel []struct {
				SourceLabels []string `yaml:"source_labels"`
				TargetLabel  string   `yaml:"target_label"`
			} `yaml:"relabel_configs"`
		} `yaml:"scrape_configs"`
	}](t, "prometheus/prometheus.yml")
	if !slices.Equal(config.RuleFiles, []string{"alerts.yml"}) || len(config.ScrapeConfigs) != 1 || len(config.ScrapeConfigs[0].DNS) != 1 {
		t.Fatalf("%+v", config)
	}
	dns := config.ScrapeConfigs[0].DNS[0]
	if !slices.Equal(slices.Sorted(slices.Values(dns.Names)), slices.Sorted(slices.Values(kinds))) || dns.Port != 9464 {
		t.Errorf("asks %v at %d", dns.Names, dns.Port)
	}
	// Prometheus reaches whom it asks.
	p, _ := compose(t, "store")
	for _, name := range dns.Names {
		shared := slices.ContainsFunc(slices.Collect(maps.Keys(p.Services[name].Networks)), func(n string) bool { _, ok := p.Services["prometheus"].Networks[n]; return ok })
		if !shared {
			t.Errorf("Prometheus and %s have no network in common", name)
		}
	}
}

func TestTheCollectorHandsOnWhatItTakes(t *testing.T) {
	config := parseYAML[struct {
		Receivers, Processors, Exporters map[string]map[string]any
		Service                          struct {
			Pipelines map[string]struct{ Receivers, Processors, Exporters []string }
		}
	}](t, "otel/collector.yaml")
	used := map[string]bool{}
	for name, p := range config.Service.Pipelines {
		for part, defined := range map[*[]string]map[string]map[string]any{&p.Receivers: config.Receivers, &p.Processors: config.Processors, &p.Exporters: config.Exporters} {
			for _, n := range *part {
				if _, found := defined[n]; !found {
					t.Errorf("pipeline %s names %s, which is not defined", name, n)
				}
				used[n] = true
			}
		}
		if len(p.Receivers) == 0 || len(p.Exporters) == 0 {
			t.Errorf("pipeline %s leads nowhere", name)
		}
	}
	for _, defined := range []map[string]map[string]any{config.Receivers, config.Processors, config.Exporters} {
		for n := range defined {
			if !used[n] {
				t.Errorf("%s is in no pipeline", n)
			}
		}
	}
	if endpoint := config.Exporters["otlp/jaeger"]["endpoint"]; endpoint != "jaeger:4317" {
		t.Errorf("traces go to %v", endpoint)
	}
	p, _ := compose(t, "eventstore")
	for _, kind := range kinds {
		if s, found := p.Services[kind]; found && *s.Environment["OTEL_EXPORTER_OTLP_ENDPOINT"] != "http://collector:4317" {
			t.Errorf("%s sends traces to %s", kind, *s.Environment["OTEL_EXPORTER_OTLP_ENDPOINT"])
		}
	}
}

// metrics are the names of metrics in an expression, and those of labels.
func metrics(t *testing.T, where, query string) (names, of []string) {
	t.Helper()
	expr, err := parser.ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v\n%s", where, err, query)
		return nil, nil
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			for _, m := range n.LabelMatchers {
				if m.Name == labels.MetricName {
					names = append(names, m.Value)
				} else {
					of = append(of, m.Name)
				}
			}
		case *parser.AggregateExpr:
			of = append(of, n.Grouping...)
		}
		return nil
	})
	return names, of
}

// free returns an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// demonstration runs yimu with its demonstration estate, and returns the labels
// of each metric that it then shows.
func demonstration(t *testing.T) map[string]map[string]bool {
	t.Helper()
	address, measured := free(t), free(t)
	up := exec.CommandContext(t.Context(), binary, "up", "--demo", "--data", filepath.Join(t.TempDir(), "data"), "--listen", address, "--metrics-listen", measured)
	up.Cancel = func() error { return up.Process.Signal(os.Interrupt) }
	said, err := up.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	ready := false
	for lines := bufio.NewScanner(said); !ready && lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		ready = strings.Contains(lines.Text(), "is ready at")
	}
	if !ready {
		t.Fatalf("yimu up ended: %v\n%s", up.Wait(), all.String())
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	defer func() {
		_ = up.Process.Signal(os.Interrupt)
		_ = up.Wait()
	}()
	ask := func(url, token string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	ask(address+"/api/v1/estates", "of nobody") // a refusal
	shown := map[string]map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-zA-Z_]\w*)(?:\{(.*)\})? \S+$`).FindAllStringSubmatch(ask(measured+"/metrics", ""), -1) {
		if shown[m[1]] == nil {
			shown[m[1]] = map[string]bool{}
		}
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			shown[m[1]][l[1]] = true
		}
	}
	return shown
}

// trouble are the metrics that nothing shows while all is well, and their labels.
var trouble = map[string][]string{
	"yimu_append_refused_total": {"yimu_context", "yimu_reason"},
	"yimu_retries_total":        {"yimu_operation"},
}

func TestQueriesAndTheManualAreOfMetricsThatAreShown(t *testing.T) {
	shown := demonstration(t)
	for name, of := range trouble {
		shown[name] = map[string]bool{}
		for _, l := range of {
			shown[name][l] = true
		}
	}
	shown["up"] = map[string]bool{} // Prometheus' own
	for where, query := range queries(t) {
		names, of := metrics(t, where, query)
		for _, name := range names {
			if shown[name] == nil {
				t.Errorf("%s: nothing shows %s", where, name)
				continue
			}
			for _, l := range of {
				// These Prometheus adds, service_name where yimu does not.
				if !shown[name][l] && l != "job" && l != "instance" && l != "service_name" {
					t.Errorf("%s: %s has no label %s", where, name, l)
				}
			}
		}
	}
	manual := regexp.MustCompile("`((?:yimu|http|messaging|process|go)_[a-z_]+)`").FindAllStringSubmatch(string(read(t, "../docs/operations.md")), -1)
	if len(manual) < 5 {
		t.Errorf("docs/operations.md names %d metrics", len(manual))
	}
	for _, m := range manual {
		label := slices.ContainsFunc(slices.Collect(maps.Values(shown)), func(of map[string]bool) bool { return of[m[1]] })
		if shown[m[1]] == nil && shown[m[1]+"_count"] == nil && !label {
			t.Errorf("docs/operations.md: nothing shows %s", m[1])
		}
	}
}
