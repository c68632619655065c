package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/segmentio/kafka-go"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/workorders"
	"github.com/yimu-ledger/yimu/libs/telemetry/otlptest"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/libs/vault/vaulttest"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
	"github.com/yimu-ledger/yimu/services/yimu/internal/search"
)

// someone is a person whose data are nowhere else.
type someone struct{ name, document, phone string }

var (
	owner   = someone{"欧阳查无此人甲", "ZX99887766554433A", "19912345678"}
	coOwner = someone{"诸葛另有其人乙", "QY11223344556677B", "18887654321"}
	tenant  = someone{"司马从未来过丙", "WV55443322110099C", "17766554433"}
	renamed = someone{"慕容改名换姓丁", "UT00112233445566D", "16655443322"} // the tenant, corrected
	buyer   = someone{"上官接手房子戊", "RS77665544332211E", "15544332211"}
)

const (
	correction = "请把我的名字改成慕容改名换姓丁,原来的写错了"
	complaint  = "我是欧阳查无此人甲,半夜漏水,请打我电话一九九"
)

// person is JSON of a person's data.
func (p someone) json() string {
	return `{"name":"` + p.name + `","document_kind":"身份证","document":"` + p.document + `","phone":"` + p.phone + `"}`
}

// title is a row of the title list.
func (p someone) title(unit, share, votes string) string {
	return unit + "," + p.name + ",身份证," + p.document + "," + p.phone + "," + share + "," + votes + "\n"
}

// planted is what was entered about people, who leave the estate in the end.
type planted struct {
	estate string
	people []string // ids: owner, co-owner, tenant
}

// texts are all that must not be read anywhere.
func (planted) texts() []string {
	all := []string{correction, complaint}
	for _, p := range []someone{owner, coOwner, tenant, renamed, buyer} {
		all = append(all, p.name, p.document, p.phone)
	}
	return all
}

const titleHeadings = "房屋编号,业主姓名,证件类型,证件号,手机,份额,表决代表\n"

// plant enters people by papers and by every screen and route that takes their
// data, right and wrong, and has them log in and say something.
func plant(t *testing.T, s *site) planted {
	t.Helper()
	p := planted{estate: uuid.NewString()}
	papers := func(titles string) fs.FS {
		return fstest.MapFS{
			"房屋清册.csv": {Data: []byte("房屋编号,楼栋,单元,房号,用途,专有部分面积(㎡),面积依据,交付状态\n1-101,1,1,101,住宅,100.00,登记,已交付\n")},
			"业主名册.csv": {Data: []byte(titles)},
		}
	}
	row := owner.title("1-101", "1/2", "是")
	s.take(t, papers(titleHeadings+row+coOwner.title("1-101", "1/2", "否")), p.estate)
	// Wrong in every column, slipped by one cell, and with quotation marks that do not pair.
	for _, wrong := range []string{strings.Replace(row, "1-101", "9-9", 1), "1-101,x," + row, strings.Replace(row, "1/2", owner.phone, 1), row[6:], `1-101,"` + row[6:], "=" + row} {
		if result, err := s.imports(papers(titleHeadings+wrong), p.estate).Run(t.Context()); err == nil && result.OK() {
			t.Fatalf("taken: %q", wrong)
		}
	}
	id := s.ask(t, s.token, http.MethodPost, "/people", tenant.json()).ID
	for _, of := range []someone{owner, coOwner, tenant} { // who is known is told by their document
		p.people = append(p.people, s.ask(t, s.token, http.MethodPost, "/people", of.json()).ID)
	}
	if p.people[2] != id {
		t.Fatal("the tenant is two people")
	}
	s.ask(t, s.token, http.MethodPost, "/people/"+id+"/roles", `{"role":"resident","estate":"`+p.estate+`"}`)
	s.ask(t, s.token, http.MethodGet, "/people/"+id+"?reason=notice-delivery", "")

	login := func(id string) string {
		return s.ask(t, "", http.MethodPost, "/sessions", `{"code":"`+s.ask(t, s.token, http.MethodPost, "/people/"+id+"/login-codes", "").Code+`"}`).Token
	}
	s.ask(t, login(id), http.MethodPost, "/me/corrections", `{"words":"`+correction+`"}`)
	s.ask(t, login(p.people[0]), http.MethodPost, "/estates/"+p.estate+"/workorders", `{"category":"报修","matter":"漏水","place":"1-101","words":"`+complaint+`"}`)
	s.ask(t, s.token, http.MethodPut, "/people/"+id, renamed.json())

	// The pages, as a browser asks for them.
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := http.Client{Jar: jar}
	code := s.ask(t, s.token, http.MethodPost, "/people/"+id+"/login-codes", "").Code
	page := func(method, path string, form url.Values) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		resp, err := browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		var b bytes.Buffer
		if _, err := b.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	page(http.MethodGet, "/login", nil)
	if me := page(http.MethodPost, "/login", url.Values{"code": {code}, "next": {"/me"}}); !strings.Contains(me, renamed.name) {
		t.Fatalf("who logged in does not see their own data: %s", me)
	}
	// What people try: data in addresses, in wrong fields, and cut off.
	page(http.MethodGet, "/me?name="+url.QueryEscape(owner.name), nil)
	page(http.MethodGet, "/"+owner.document, nil)
	page(http.MethodGet, "/api/v1/people/"+owner.phone, nil)
	page(http.MethodGet, "/api/v1/people?document="+owner.document, nil)
	for _, body := range []string{`{"name":["` + owner.name + `"]}`, `{"` + owner.name + `":1,"phone":"` + owner.phone + `"}`, owner.json()[:60], strings.Replace(owner.json(), "身份证", owner.name, 1)} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/v1/people", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {"Bearer " + s.token}, "Idempotency-Key": {uuid.NewString()}, "Content-Type": {"application/json"}, "User-Agent": {owner.name}, "X-Request-Id": {owner.document + " " + owner.phone}}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}

	// The home is sold, by a paper as an office saves it.
	sold, err := simplifiedchinese.GB18030.NewEncoder().String(titleHeadings + buyer.title("1-101", "1/1", "是"))
	if err != nil {
		t.Fatal(err)
	}
	s.take(t, papers(sold), p.estate)
	return p
}

// sealed is a text that a person's key opens.
type sealed struct{ subject, text string }

// words returns what people said, as it stands in the ledger.
func words(t *testing.T, s *site) (all []sealed) {
	t.Helper()
	for r, err := range s.store.ReadAll(t.Context(), 0, registry.PersonStream, workorders.WorkOrderStream) {
		if err != nil {
			t.Fatal(err)
		}
		var said struct{ Person, Reporter, Words string }
		if err := json.Unmarshal(r.Data, &said); err != nil {
			t.Fatal(err)
		}
		if said.Words != "" {
			all = append(all, sealed{vault.PersonKey(said.Person + said.Reporter), said.Words}) // one of them is empty
		}
	}
	return all
}

// topics searches all that a broker has.
func topics(t *testing.T, s *search.Search, broker string) {
	t.Helper()
	conn, err := kafka.DialContext(t.Context(), "tcp", broker)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	all, err := conn.ReadPartitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		leader, err := kafka.DialLeader(t.Context(), "tcp", broker, p.Topic, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		first, last, err := leader.ReadOffsets()
		if err == nil {
			_, err = leader.Seek(first, kafka.SeekAbsolute)
		}
		for at := first; err == nil && at < last; at++ {
			var m kafka.Message
			if m, err = leader.ReadMessage(1 << 20); err != nil {
				break
			}
			at = m.Offset
			text := append(append(bytes.Clone(m.Key), 0), m.Value...)
			for _, h := range m.Headers {
				text = append(append(append(text, 0), h.Key...), h.Value...)
			}
			s.Bytes("Kafka "+p.Topic, text)
		}
		if err := errors.Join(err, leader.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// aside puts a message into a topic of a broker that nobody reads.
func aside(t *testing.T, broker, message string) {
	t.Helper()
	conn, err := kafka.DialContext(t.Context(), "tcp", broker)
	if err == nil {
		err = errors.Join(conn.CreateTopics(kafka.TopicConfig{Topic: "aside", NumPartitions: 1, ReplicationFactor: 1}), conn.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	w := &kafka.Writer{Addr: kafka.TCP(broker), Topic: "aside"}
	if err := errors.Join(w.WriteMessages(t.Context(), kafka.Message{Value: []byte(message)}), w.Close()); err != nil {
		t.Fatal(err)
	}
}

// everything returns all bytes of all files below a directory.
func everything(t *testing.T, dir string) (all []byte) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the system runs
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if all = append(all, b...); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// theft is what somebody with the key file tries.
type theft struct {
	thief  *vaulttest.Thief
	people []string // whose data they want, as the vault names them
	others []string // whose keys they may have
	said   []sealed
}

// prepare is done while the system runs.
func (p planted) prepare(t *testing.T, s *site, keyFile string) theft {
	t.Helper()
	th := theft{thief: vaulttest.NewThief(t, keyFile), said: words(t, s)}
	for _, id := range p.people {
		th.people = append(th.people, vault.PersonKey(id))
	}
	for r, err := range s.store.ReadAll(t.Context(), 0, registry.PersonStream, registry.EstateStream) {
		if err != nil {
			t.Fatal(err)
		}
		kind, id, _ := strings.Cut(r.Stream, "-")
		if subject := kind + "/" + id; !slices.Contains(append(th.people, th.others...), subject) {
			th.others = append(th.others, subject)
		}
	}
	return th
}

// read tries every key there is in bytes. It returns how many keys of the people
// are there, how many of their documents, and how much of what they said can be
// opened; and how many keys of others there are.
func (th theft) read(b []byte) (keys, documents, opened, others int) {
	for _, of := range []someone{owner, coOwner, renamed} {
		if bytes.Contains(b, th.thief.Document(of.document)) {
			documents++
		}
	}
	all := th.thief.Keys(b, append(slices.Clone(th.people), th.others...)...)
	for _, w := range th.said {
		if slices.ContainsFunc(slices.Collect(maps.Values(all)), func(key string) bool {
			_, err := vault.OpenWith(key, w.subject, "words", w.text)
			return err == nil
		}) {
			opened++
		}
	}
	for subject := range all {
		if slices.Contains(th.people, subject) {
			keys++
		} else {
			others++
		}
	}
	return keys, documents, opened, others
}

// gone wants nothing to be left of the people below a directory, and the keys of
// others to be there.
func (th theft) gone(t *testing.T, where, dir string) {
	t.Helper()
	if keys, documents, opened, others := th.read(everything(t, dir)); keys != 0 || documents != 0 || opened != 0 || others == 0 {
		t.Errorf("%s: of those who were erased %d keys and %d documents are left, and %d texts can be opened; of others %d keys are there", where, keys, documents, opened, others)
	}
}

// observed is a site of one process of which all that it says is kept.
type observed struct {
	*site
	data      string
	down      func()
	log       *slog.Logger
	lines     *lines
	collector *otlptest.Collector
}

func observe(t *testing.T) observed {
	t.Helper()
	o := observed{data: shortDir(t), lines: &lines{}, collector: otlptest.Start(t)}
	variables(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": o.collector.GRPC, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "200",
	})
	o.log = newLogger(o.lines, "debug", "json")
	o.site, o.down = upWith(t, o.data, o.log)
	return o
}

// again stops the process, makes a backup, and starts it: what was in the store's
// log is in its tables then.
func (o *observed) again(t *testing.T) (backup string) {
	t.Helper()
	o.down()
	p := newPlaces(t)
	p.data = o.data
	p.backup(t)
	o.site, o.down = upWith(t, o.data, o.log)
	return p.dest
}

// search stops the process and searches what it sent, said and keeps, and what is
// in other directories.
func (o *observed) search(t *testing.T, texts []string, dirs ...string) []search.Hit {
	t.Helper()
	s := search.New(texts...)
	topics(t, s, o.inside.bus.Brokers[0])
	o.down()
	for _, line := range o.lines.all() {
		s.Bytes("log", []byte(line))
	}
	for _, b := range o.collector.Received() {
		s.Bytes("OTLP", b)
	}
	for _, dir := range append(dirs, o.data) {
		if err := s.Dir(t.Context(), dir); err != nil {
			t.Error(err)
		}
	}
	return s.Found()
}

// bundle is what anyone may have of an estate, in a directory of its own, and the
// key it is checked with.
func (p planted) bundle(t *testing.T, s *site) (file, key string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "bundle.zip")
	c := exportBundleCmd{Estate: uuid.MustParse(p.estate), Server: s.url, Output: file, Until: strconv.FormatUint(uint64(s.head(t)), 10)}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var log struct{ Keys []string }
	s.get(t, "/ledger/log", &log)
	return file, log.Keys[0]
}

func TestTheSearchFindsWhatIsNotEncrypted(t *testing.T) {
	vaulttest.Plain(t)
	o := observe(t)
	p := plant(t, o.site)
	backup := o.again(t)
	o.ask(t, o.token, http.MethodPost, "/people", someone{"东方后来之人己", "PQ44332211009988F", "14433221100"}.json())
	session := o.ask(t, "", http.MethodPost, "/sessions", `{"code":"`+o.ask(t, o.token, http.MethodPost, "/people/"+p.people[0]+"/login-codes", "").Code+`"}`).Token
	o.ask(t, session, http.MethodPost, "/me/corrections", `{"words":"`+correction+`"}`)
	o.log.InfoContext(t.Context(), "said by mistake", slog.String("name", owner.name))
	_, span := o.inside.watch.Tracer.Start(t.Context(), "to "+owner.phone)
	span.End()

	// What goes through the broker of the process is dropped as soon as it is read.
	aside(t, o.inside.bus.Brokers[0], `{"words":"`+base64.StdEncoding.EncodeToString([]byte("["+correction+"]  "))+`"}`)

	bundle, _ := p.bundle(t, o.site)

	var hits []string
	for _, h := range o.search(t, p.texts(), backup, filepath.Dir(bundle)) {
		hits = append(hits, h.String())
	}
	for _, want := range []string{
		`vault.db: "` + buyer.name + `" as UTF-8`, `vault.db → person: "` + renamed.document + `" as UTF-8`,
		`.sst → block: "` + complaint + `" as UTF-8 in base64`, `.sst → block → base64: "` + correction + `" as UTF-8`, `.log → records → base64: "` + correction + `" as UTF-8`,
		`bundle.zip → base64: "` + complaint + `" as UTF-8`, `Kafka aside → base64: "` + correction + `" as UTF-8`, `log: "` + owner.name + `" as UTF-8`, `OTLP: "` + owner.phone + `" as UTF-8`,
	} {
		if !slices.ContainsFunc(hits, func(hit string) bool { return strings.Contains(hit, want) }) {
			t.Errorf("not found: %s", want)
		}
	}
	if t.Failed() {
		t.Logf("found:\n%s", strings.Join(hits, "\n"))
	}
}

func TestNobodyCanReadWhoWasErased(t *testing.T) {
	o := observe(t)
	p := plant(t, o.site)
	before := o.again(t)
	th := p.prepare(t, o.site, filepath.Join(o.data, "keys", "vault.json"))
	for where, dir := range map[string]string{"the system": o.data, "its backup": before} {
		if keys, documents, opened, _ := th.read(everything(t, dir)); keys != 3 || documents != 3 || opened != len(th.said) || opened != 2 {
			t.Fatalf("with the key file %d keys of 3 and %d documents of 3 are found in %s, and %d of %d texts opened: the test cannot see what it looks for",
				keys, documents, where, opened, len(th.said))
		}
	}

	for _, id := range p.people {
		o.ask(t, o.token, http.MethodDelete, "/people/"+id+"?ground=own-request", "")
	}
	th.gone(t, "as soon as it is answered", o.data)
	after := o.again(t)
	th.gone(t, "the backup made after", after)
	bundle, key := p.bundle(t, o.site)
	for _, hit := range o.search(t, p.texts(), before, after, filepath.Dir(bundle)) {
		t.Error(hit)
	}
	status, report := verifiedBundle(t, bundle, key)
	if status != 0 || !slices.ContainsFunc(report.NotVerified, func(u inspect.Unverified) bool {
		return u.Count == len(p.people) && strings.HasPrefix(u.Why, "erased, intact")
	}) {
		t.Errorf("of a bundle with erased people is said %+v, %+v", report.Findings, report.NotVerified)
	}
	th.gone(t, "after it was stopped", o.data)

	// The vault comes back from the backup in which they have keys.
	for _, name := range []string{"vault.db-wal", "vault.db-shm"} {
		if err := os.Remove(filepath.Join(o.data, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(filepath.Join(before, "vault.db"))
	if err == nil {
		err = os.WriteFile(filepath.Join(o.data, "vault.db"), old, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	o.site, o.down = upWith(t, o.data, o.log)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if keys, documents, _, _ := th.read(everything(t, o.data)); keys == 0 && documents == 0 {
			break
		}
	}
	o.down()
	th.gone(t, "with a vault from a backup", o.data)
}
