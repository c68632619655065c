package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/libs/proof"
)

// TestVerify asks the binary about files of a site that has ended.
func TestVerify(t *testing.T) {
	path, dir := yimu(t), t.TempDir()
	s, down := up(t, filepath.Join(dir, "data"))
	keep := func(name string, content []byte) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	event := s.record(t, "before")
	old := s.receipt(t, event)
	receipt := keep("receipt", s.file(t, "/api/v1/receipts/"+event))
	checkpoint := keep("checkpoint", []byte(old.Checkpoint))
	state, _, finding := keysOf(t, filepath.Join(dir, "data")).Checkpoint(old.Checkpoint)
	if finding != nil {
		t.Fatal(finding)
	}
	later := keep("later", s.file(t, "/api/v1/receipts/"+s.record(t, "after")))
	extension := keep("extension", s.file(t, fmt.Sprintf("/api/v1/ledger/extension?old=%d", state.Size)))
	other := keep("other", s.file(t, "/api/v1/ledger/extension?old=1"))
	down()

	run := func(args ...string) (status int, said string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
		var ended *exec.ExitError
		if err != nil && !errors.As(err, &ended) {
			t.Fatal(err)
		}
		if ended != nil {
			status = ended.ExitCode()
		}
		return status, string(out)
	}
	private := filepath.Join(dir, "data", "keys", logKey)
	_, key := run("key", "show", private)
	if key = strings.TrimSpace(key); key != keysOf(t, filepath.Join(dir, "data"))[0].Text {
		t.Fatalf("the key is %q", key)
	}
	keyFile := keep("key", []byte("# of the site\n"+key+"\n"))
	stranger, err := proof.ParseKeys("yimu.example/log+33f33188+Aaoikc+KSB6dftLh5JyK6BNC6uyCzZ0DhUAUHIKvpsPp")
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(must(t, receipt)), `"leaf":`, `"leaf":1`, 1)
	renamed := old
	renamed.Data = []byte(strings.Replace(string(old.Data), "before", "behind", 1))
	changed, err := json.Marshal(renamed)
	if err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"a receipt":                            {[]string{"receipt", receipt, "--key", key}, 0, "found nothing wrong: this event is in the ledger"},
		"what the event says":                  {[]string{"receipt", receipt, "--key", key}, 0, `"name":"before"`},
		"the key in a file":                    {[]string{"receipt", receipt, "--key", keyFile}, 0, "found nothing wrong"},
		"for programs":                         {[]string{"receipt", receipt, "--key", key, "--json"}, 0, `{"ok":true,`},
		"a stranger's key":                     {[]string{"receipt", receipt, "--key", stranger[0].Text}, 1, "wrong-key"},
		"another leaf":                         {[]string{"receipt", keep("forged", []byte(forged)), "--key", key}, 1, "forged-proof"},
		"other bytes":                          {[]string{"receipt", keep("changed", changed), "--key", key, "--json"}, 1, `"code":"changed-bytes"`},
		"no receipt":                           {[]string{"receipt", extension, "--key", key}, 2, "is no receipt: it is an extension, which yimu verify consistency takes"},
		"no bundle":                            {[]string{"bundle", receipt, "--key", key}, 2, "is no bundle: it is a receipt, which yimu verify receipt checks"},
		"no file of keys":                      {[]string{"receipt", receipt, "--key", checkpoint}, 2, "is no file of public keys: it is a checkpoint"},
		"no key of an estate":                  {[]string{"bundle", receipt, "--key", key, "--estate-key", receipt}, 2, "is no bundle"},
		"a receipt of another form":            {[]string{"receipt", keep("v2", []byte(`{"format":"yimu receipt v1","leaf":"one"}`)), "--key", key}, 2, "is no receipt: json: cannot unmarshal string"},
		"a receipt that is cut off":            {[]string{"receipt", keep("cut", must(t, receipt)[:300]), "--key", key}, 2, "is no receipt: it is cut off"},
		"an archive that is cut off":           {[]string{"bundle", keep("archive", []byte("PK\x03\x04")), "--key", key}, 2, "is cut off or damaged"},
		"nothing":                              {[]string{"receipt", keep("nothing", nil), "--key", key}, 2, "is no receipt: it is empty"},
		"a directory":                          {[]string{"receipt", dir, "--key", key}, 2, "is a directory, and a file is wanted"},
		"a directory, for a bundle":            {[]string{"bundle", dir, "--key", key}, 2, "is a directory, and a file is wanted"},
		"a directory, for a key":               {[]string{"receipt", receipt, "--key", dir}, 2, "the key: " + dir + " is a directory"},
		"no file":                              {[]string{"receipt", "nowhere", "--key", key}, 2, "there is no file"},
		"no file, for a bundle":                {[]string{"bundle", "nowhere", "--key", key}, 2, "there is no file"},
		"no file that was kept":                {[]string{"consistency", "nowhere", extension, "--key", key}, 2, "there is no file"},
		"half a key":                           {[]string{"receipt", receipt, "--key", key[:len(key)-3]}, 2, "is not whole"},
		"no key":                               {[]string{"receipt", receipt}, 2, "--key"},
		"no such key":                          {[]string{"receipt", receipt, "--key", "nowhere"}, 2, "neither a file nor"},
		"the private key":                      {[]string{"receipt", receipt, "--key", private}, 2, "yimu key show"},
		"a checkpoint and what came":           {[]string{"consistency", checkpoint, extension, "--key", key}, 0, "since the old checkpoint"},
		"a receipt and what came":              {[]string{"consistency", receipt, extension, "--key", key}, 0, "nothing else was done"},
		"two that are the same":                {[]string{"consistency", receipt, checkpoint, "--key", key}, 0, "both are the same"},
		"swapped":                              {[]string{"consistency", extension, checkpoint, "--key", key}, 1, "cut-tail"},
		"a proof of another size":              {[]string{"consistency", checkpoint, other, "--key", key}, 1, "forged-proof"},
		"two checkpoints, and nothing between": {[]string{"consistency", checkpoint, later, "--key", key}, 2, fmt.Sprintf("extension?old=%d", state.Size)},
		"no checkpoint":                        {[]string{"consistency", keyFile, extension, "--key", key}, 2, "is no extension, receipt or checkpoint: it is a public key"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, said := run(append([]string{"verify"}, c.args...)...); status != c.status || !strings.Contains(said, c.says) || strings.Contains(said, "PRIVATE") || strings.Contains(said, "Usage:") != strings.Contains(c.says, "--key") {
				t.Errorf("status %d, want %d and %q:\n%s", status, c.status, c.says, said)
			}
		})
	}

	t.Run("after the key was rotated", func(t *testing.T) {
		status, said := run("key", "rotate", private)
		second, _, _ := strings.Cut(said, "\n")
		if _, shown := run("key", "show", private); status != 0 || shown != second+"\n"+key+"\n" {
			t.Fatalf("status %d, %s, then shown %s", status, said, shown)
		}
		s, down := up(t, filepath.Join(dir, "data"))
		rotated := keep("rotated", s.file(t, "/api/v1/receipts/"+s.record(t, "rotated")))
		extension := keep("further", s.file(t, fmt.Sprintf("/api/v1/ledger/extension?old=%d", state.Size)))
		down()
		for _, args := range [][]string{{"receipt", rotated, "--key", key}, {"receipt", rotated, "--key", second}, {"consistency", receipt, extension, "--key", key}} {
			if status, said := run(append([]string{"verify"}, args...)...); status != 0 || !strings.Contains(said, "signed by "+second) {
				t.Errorf("status %d: %s", status, said)
			}
		}
	})
}

func TestAFileThatIsNotWhatWasWantedIsTold(t *testing.T) {
	const checkpoint = "yimu.example/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"
	for name, c := range map[string]struct{ text, noun, is string }{
		"nothing":                        {" \n", "", "it is empty"},
		"a page":                         {"\n<!doctype html>", "", "a web page"},
		"an archive":                     {"PK\x03\x04", "", "yimu verify bundle"},
		"what Windows saves":             {"\xff\xfe{\x00", "", "curl -o"},
		"what Windows saves, too":        {"\xef\xbb\xbf{}", "", "curl -o"},
		"a receipt":                      {`{"format":"yimu receipt v1"}`, "receipt", "yimu verify receipt"},
		"an extension":                   {`{"format":"yimu extension v1"}`, "extension", "yimu verify consistency"},
		"a refusal":                      {`{"status":404,"code":"no-such-event","detail":"none\u001b[31m"}`, "", `refuses: no-such-event, none\x1b[31m`},
		"half of something":              {`{"format":"yimu rec`, "", "it is cut off"},
		"something broken":               {`{"format":yimu receipt v1"}`, "", "damaged"},
		"anything":                       {`{"a":1}`, "", "not known here"},
		"a checkpoint":                   {checkpoint, "checkpoint", "it is a checkpoint, which"},
		"a checkpoint, its lines broken": {strings.ReplaceAll(checkpoint, "\n", "\r\n"), "", "curl -o"},
		"a key":                          {"yimu.example/log+33f33188+Aaoikc+KSB6dftLh5JyK6BNC6uyCzZ0DhUAUHIKvpsPp\n", "public key", "--key"},
		"half a key":                     {"# of the site\nyimu.example/log+33f33188+Aaoikc+KSB6dftLh5JyK6BNC6uyCz\n", "", "not all are whole"},
		"a private key":                  {"PRIVATE+KEY+yimu.example/log+33f33188+AAAA", "", "yimu key show"},
		"text":                           {"hello", "", "not known here"},
	} {
		if noun, is := kindOf([]byte(c.text)); noun != c.noun || !strings.Contains(is, c.is) {
			t.Errorf("%s: %q, %q", name, noun, is)
		}
	}
}

func must(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
