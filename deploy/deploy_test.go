package deploy

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// binary is yimu, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	log.SetFlags(0)
	dir, err := os.MkdirTemp("", "yimu-deploy-")
	if err != nil {
		log.Fatal(err)
	}
	binary = filepath.Join(dir, "yimu")
	build := exec.Command("go", "build", "-o", binary, "./yimu")
	build.Dir, build.Env = "../services", append(os.Environ(), "CGO_ENABLED=0") // as the image has it
	if out, err := build.CombinedOutput(); err != nil {
		log.Fatalf("yimu cannot be built: %v\n%s", err, out)
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// container is how one container runs yimu.
type container struct {
	name string
	args []string
	env  map[string]string
	// folders that something is mounted on
	mounts []string
}

// accepted starts nothing: it asks the binary whether it would serve with these
// settings, and looks at what the binary does not: settings that it does not
// know, paths that nothing is mounted on, and secrets in what is printed.
func (c container) accepted(t *testing.T, secrets []string) {
	t.Helper()
	known := variables(t)
	for name, value := range c.env {
		if strings.HasPrefix(name, "YIMU_") && !known[name] {
			t.Errorf("%s: there is no setting %s", c.name, name)
		}
		for _, path := range paths(value) {
			if !slices.ContainsFunc(c.mounts, func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") }) {
				t.Errorf("%s: %s names %s, and nothing is mounted there", c.name, name, path)
			}
		}
	}
	check := exec.Command(binary, append(slices.Clone(c.args), "--check")...)
	check.Env = []string{}
	cert, key := certificate(t)
	for _, name := range slices.Sorted(maps.Keys(c.env)) {
		value := c.env[name]
		switch { // files that are read at once
		case name == "YIMU_EVENTSTORE_CERT":
			value = cert
		case name == "YIMU_EVENTSTORE_KEY":
			value = key
		case name == "YIMU_KAFKA_CA", strings.Contains(value, trusted):
			value = authority.ReplaceAllString(value, "${1}"+cert)
		}
		check.Env = append(check.Env, name+"="+value)
	}
	out, err := check.CombinedOutput()
	if err != nil {
		t.Errorf("%s: yimu %s: %v\n%s", c.name, strings.Join(check.Args[1:], " "), err, out)
	}
	for _, s := range secrets {
		if strings.Contains(string(out), s) {
			t.Errorf("%s: yimu prints a secret:\n%s", c.name, out)
		}
	}
}

var (
	variable = regexp.MustCompile(`\$(YIMU_[A-Z_]+)`)
	path     = regexp.MustCompile(`(?:^|file://|` + trusted + `)(/[^?&]+)`)

	// authority is the file of whom to trust.
	authority = regexp.MustCompile(`(^|` + trusted + `)/[^?&]+`)
)

// trusted names it in the address of an event store.
const trusted = "tlsCaFile="

// variables are the settings of yimu serve.
func variables(t *testing.T) map[string]bool {
	t.Helper()
	out, err := exec.Command(binary, "serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("yimu serve --help: %v\n%s", err, out)
	}
	known := map[string]bool{}
	for _, m := range variable.FindAllStringSubmatch(string(out), -1) {
		known[m[1]] = true
	}
	if len(known) < 20 {
		t.Fatalf("yimu serve --help names %d settings only:\n%s", len(known), out)
	}
	return known
}

// paths are the files and folders that a setting names.
func paths(value string) (found []string) {
	for _, m := range path.FindAllStringSubmatch(value, -1) {
		found = append(found, m[1])
	}
	return found
}

// certificate writes some certificate and its key, and returns the files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	private, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return file("tls.crt", "CERTIFICATE", server.Certificate().Raw), file("tls.key", "PRIVATE KEY", private)
}

// kinds are the services that there are, and the store.
var kinds = []string{"registry", "contracts", "workorders", "finance", "votes", "ledger", "portal", "store"}

// withAPI says whether a service has an API, and so reads the store.
func withAPI(kind string) bool {
	return kind != "portal" && kind != "store" && slices.Contains(kinds, kind)
}

// pinned says what is wrong with the name of an image.
func pinned(image string) error {
	name, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	if !regexp.MustCompile(`\d+\.\d+`).MatchString(tag) {
		return fmt.Errorf("image %s does not say which version of %s", image, name)
	}
	return nil
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Tests build yimu in the workspace, where this module has a say in the versions
// of libraries; the image is built by the services' go.mod alone.
func TestTheImageHasTheLibrariesThatWereTested(t *testing.T) {
	list := func(workspace string) map[string]string {
		c := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Replace}}{{if .Version}}{{.Path}} {{.Version}}{{end}}{{end}}{{end}}", "./yimu")
		c.Dir, c.Env = "../services", append(os.Environ(), "CGO_ENABLED=0", "GOWORK="+workspace)
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		versions := map[string]string{}
		for line := range strings.Lines(string(out)) {
			path, version, _ := strings.Cut(strings.TrimSpace(line), " ")
			versions[path] = version
		}
		return versions
	}
	tested, built := list(""), list("off")
	if len(built) < 50 {
		t.Fatalf("yimu is built of %d modules only", len(built))
	}
	for path, version := range built {
		if tested[path] != version {
			t.Errorf("%s is tested in %s and built with %s", path, tested[path], version)
		}
	}
}
