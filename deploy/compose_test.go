package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
)

// compose loads compose.yaml with the settings of .env.example, each secret of
// them replaced by one that can be told from the others.
func compose(t *testing.T, profile string) (*types.Project, map[string]string) {
	t.Helper()
	settings, err := dotenv.Read(".env.example")
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{}
	for name, value := range settings {
		if value == "example" {
			secrets[name] = fmt.Sprintf("secret%02d", len(secrets))
			settings[name] = secrets[name]
		}
	}
	if len(secrets) == 0 {
		t.Fatal(".env.example has no secrets")
	}
	var env []string
	for name, value := range settings {
		env = append(env, name+"="+value)
	}
	options, err := cli.NewProjectOptions([]string{"compose.yaml"}, cli.WithEnv(env), cli.WithProfiles([]string{profile}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p, secrets
}

// stores are the profiles: one of them runs.
var stores = []string{"eventstore", "store"}

func ours(s types.ServiceConfig) bool { return s.Build != nil }

func TestComposeRunsEveryServiceWithSettingsThatTheBinaryAccepts(t *testing.T) {
	for _, profile := range stores {
		p, secrets := compose(t, profile)
		var found []string
		for _, s := range p.Services {
			if !ours(s) {
				continue
			}
			c := container{name: s.Name, args: s.Command, env: map[string]string{}}
			for name, value := range s.Environment {
				if value == nil {
					t.Errorf("%s: %s has no value", s.Name, name)
					continue
				}
				c.env[name] = *value
			}
			for _, v := range s.Volumes {
				c.mounts = append(c.mounts, v.Target)
			}
			for _, tmp := range s.Tmpfs {
				target, _, _ := strings.Cut(tmp, ":")
				c.mounts = append(c.mounts, target)
			}
			c.accepted(t, slices.Collect(maps.Values(secrets)))
			if len(s.Command) != 2 || s.Command[0] != "serve" || s.Command[1] != s.Name {
				t.Errorf("%s serves %q", s.Name, s.Command)
			}
			found = append(found, s.Name)
		}
		want := slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return k == "store" && profile != "store" })
		if slices.Sort(found); !slices.Equal(found, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s runs %v, want %v", profile, found, want)
		}
	}
}

func TestOnlyWhoNeedsASecretOfComposeIsGivenIt(t *testing.T) {
	services := slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return !withAPI(k) })
	needs := map[string][]string{
		"POSTGRES_PASSWORD":          {"postgres"},
		"YIMU_DATABASE_PASSWORD":     append([]string{"postgres"}, services...),
		"YIMU_VAULT_PASSWORD":        append([]string{"postgres", "portal"}, services...),
		"EVENTSTORE_ADMIN_PASSWORD":  {"eventstore", "eventstore-access"},
		"EVENTSTORE_OPS_PASSWORD":    {"eventstore"},
		"EVENTSTORE_LEDGER_PASSWORD": {"ledger", "store", "eventstore-access"},
		"EVENTSTORE_READER_PASSWORD": {"registry", "contracts", "workorders", "finance", "votes", "eventstore-access"},
		"GRAFANA_PASSWORD":           {"grafana"},
	}
	has := map[string]map[string]bool{}
	for _, profile := range stores {
		p, secrets := compose(t, profile)
		for _, s := range p.Services {
			all, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			for name, secret := range secrets {
				if strings.Contains(string(all), secret) {
					if has[name] == nil {
						has[name] = map[string]bool{}
					}
					has[name][s.Name] = true
				}
			}
		}
	}
	for name, services := range needs {
		if got, want := slices.Sorted(maps.Keys(has[name])), slices.Sorted(slices.Values(services)); !slices.Equal(got, want) {
			t.Errorf("%s is given to %v, want %v", name, got, want)
		}
		delete(has, name)
	}
	for name, services := range has {
		t.Errorf("%s is given to %v, and nothing is said about who needs it", name, slices.Sorted(maps.Keys(services)))
	}
}

func TestOnlyTheServicesReachTheEventStoreOfCompose(t *testing.T) {
	for _, profile := range stores {
		p, _ := compose(t, profile)
		events := 0
		for _, s := range p.Services {
			network, reaches := s.Networks["events"]
			if want := withAPI(s.Name) || s.Name == profile || s.Name == "eventstore-access"; reaches != want {
				t.Errorf("%s: %s on the event store's network: %t", profile, s.Name, reaches)
			}
			if network != nil && slices.Contains(network.Aliases, "events") {
				events++
				if s.Name != profile {
					t.Errorf("%s answers to the name of the event store, want %s", s.Name, profile)
				}
			}
		}
		if events != 1 {
			t.Errorf("%s: %d event stores", profile, events)
		}
		for name, n := range p.Networks {
			if !n.Internal && name != "outside" {
				t.Errorf("network %s leads outside", name)
			}
		}
	}
}

func TestComposePublishesPagesOnlyAndOnThisMachineOnly(t *testing.T) {
	for _, profile := range stores {
		p, _ := compose(t, profile)
		for _, s := range p.Services {
			_, outside := s.Networks["outside"]
			if outside != (len(s.Ports) > 0) {
				t.Errorf("%s publishes %d ports, and is on the network that leads outside: %t", s.Name, len(s.Ports), outside)
			}
			if len(s.Ports) > 0 && !slices.Contains([]string{"portal", "grafana", "prometheus", "jaeger"}, s.Name) {
				t.Errorf("%s is published", s.Name)
			}
			for _, port := range s.Ports {
				if port.HostIP != "127.0.0.1" {
					t.Errorf("%s is published on %q", s.Name, port.HostIP)
				}
			}
		}
	}
}

func TestEveryContainerOfComposeIsBounded(t *testing.T) {
	healthy := regexp.MustCompile(`(?m)^HEALTHCHECK .*CMD \["/yimu", "healthy", "http://127\.0\.0\.1:8080/readyz"\]$`).Match(read(t, "Dockerfile"))
	if !healthy {
		t.Error("yimu's image has no health check")
	}
	for _, profile := range stores {
		p, _ := compose(t, profile)
		for _, s := range p.Services {
			if !ours(s) {
				if err := pinned(s.Image); err != nil {
					t.Error(err)
				}
			} else if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.MemLimit == 0 || s.Privileged || s.User != "" {
				t.Errorf("%s may do more than it needs", s.Name)
			}
			once := s.Name == "certificates" || s.Name == "eventstore-access"
			if !once && (s.Restart != types.RestartPolicyUnlessStopped || s.Logging == nil || s.Logging.Options["max-size"] == "") {
				t.Errorf("%s is not started again, or its log grows without end", s.Name)
			}
			for name, d := range s.DependsOn {
				needed, found := p.Services[name]
				switch {
				case !found && d.Required:
					t.Errorf("%s waits for %s, which is not there", s.Name, name)
				case !found:
				case d.Condition == types.ServiceConditionHealthy && needed.HealthCheck == nil && !ours(needed):
					t.Errorf("%s waits for the health of %s, which has no check", s.Name, name)
				}
			}
			for _, v := range s.Volumes {
				if v.Type != types.VolumeTypeBind {
					continue
				}
				info, err := os.Stat(v.Source)
				if err != nil {
					t.Errorf("%s: %v", s.Name, err)
				} else if !v.ReadOnly {
					t.Errorf("%s may write to %s", s.Name, v.Source)
				} else if filepath.Ext(v.Source) == ".sh" && info.Mode()&0o111 == 0 {
					t.Errorf("%s cannot be run", v.Source)
				}
			}
		}
	}
}

func TestABrokerThatDiedIsMissedSoon(t *testing.T) {
	p, _ := compose(t, "store")
	said := p.Services["kafka"].Environment
	lines := strings.Split(string(read(t, "../k8s/overlays/small/server.properties")), "\n")
	for setting, want := range map[string]string{"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"} {
		variable := "KAFKA_" + strings.ToUpper(strings.ReplaceAll(setting, ".", "_"))
		if got := said[variable]; got == nil || *got != want {
			t.Errorf("Compose sets no %s=%s", variable, want)
		}
		if !slices.Contains(lines, setting+"="+want) {
			t.Errorf("Kubernetes sets no %s=%s", setting, want)
		}
	}
}

func TestBothDatabaseScriptsAreTheSame(t *testing.T) {
	if string(read(t, "databases.sh")) != string(read(t, "../k8s/overlays/small/databases.sh")) {
		t.Error("deploy/databases.sh and k8s/overlays/small/databases.sh differ; kustomize reads nothing outside its folder, so there are two")
	}
}
