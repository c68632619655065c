package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/yimu/internal/office"
)

// noticeDays is how long before voting a notice is posted, by law.
const noticeDays = 15

// Past is how far back the clock of the server stands while a [Booth] is set
// up, so that voting is open once it shows the time again.
const Past = -(noticeDays + 1) * 24 * time.Hour

// Booth is an estate of one-unit owners, each with a token, and meetings they
// may vote in.
type Booth struct {
	Estate   string
	Meetings []string
	Tokens   []string // of the voters
	People   []string // their ids
	Admin    string   // token of the administrator

	position uint64 // of the last command
}

// Setup makes a booth on a site whose clock stands back by [Past]. Voting
// closes after so much time from now on.
func Setup(ctx context.Context, s Site, homes, meetings int, closes time.Duration) (*Booth, error) {
	b := &Booth{Estate: uuid.NewString()}
	var err error
	if b.Admin, err = s.Token(ctx); err != nil {
		return nil, err
	}
	if err := b.settle(ctx, s, homes); err != nil {
		return nil, err
	}
	if err := b.hand(ctx, s); err != nil {
		return nil, err
	}
	for i := range meetings {
		id, err := b.call(ctx, s, i, closes)
		if err != nil {
			return nil, err
		}
		b.Meetings = append(b.Meetings, id)
	}
	return b, nil
}

// In makes a booth in an estate that a site has, where everyone who votes for a
// delivered home or shop has a token. It has no meetings yet.
func In(ctx context.Context, s Site, estate string) (*Booth, error) {
	b := &Booth{Estate: estate}
	var err error
	if b.Admin, err = s.Token(ctx); err != nil {
		return nil, err
	}
	return b, b.hand(ctx, s)
}

// Position is that of the last command.
func (b *Booth) Position() uint64 { return b.position }

// settle imports an estate with one owner to each home.
func (b *Booth) settle(ctx context.Context, s Site, homes int) error {
	dir, err := os.MkdirTemp("", "yimu-papers-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var units, titles strings.Builder
	units.WriteString("房屋编号,楼栋,单元,房号,用途,专有部分面积(㎡),面积依据,交付状态\n")
	titles.WriteString("房屋编号,业主姓名,证件类型,证件号,手机,份额,表决代表\n")
	for i := range homes {
		building, room := place(i)
		fmt.Fprintf(&units, "%s,%d,1,%d,住宅,%d.%02d,登记,已交付\n", code(i), building, room, 60+i%80, i%100)
		fmt.Fprintf(&titles, "%s,示例%d,身份证,L%017d,,1/1,是\n", code(i), i, i)
	}
	for name, text := range map[string]string{"房屋清册.csv": units.String(), "业主名册.csv": titles.String()} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			return err
		}
	}
	result, err := office.Import{Server: s.URL(), Token: b.Admin, Estate: b.Estate, Name: "测试小区", Papers: os.DirFS(dir)}.Run(ctx)
	if err == nil && !result.OK() {
		var out strings.Builder
		result.Write(&out)
		err = errors.New(out.String())
	}
	return err
}

// place is where a home is, by its number, and code what it is called.
func place(home int) (building, room int) { return home/100 + 1, home%100 + 101 }

func code(home int) string {
	building, room := place(home)
	return fmt.Sprintf("%d-1-%d", building, room)
}

// Event is an event of the ledger as the API tells it.
type Event struct {
	Position uint64          `json:"position"`
	Stream   string          `json:"stream"`
	Revision uint64          `json:"revision"`
	ID       uuid.UUID       `json:"id"`
	Type     string          `json:"type"`
	Data     json.RawMessage `json:"data"`
	Meta     json.RawMessage `json:"meta"`
}

// Events reads the ledger on from a position, to its end, and returns where
// that was.
func (s Site) Events(ctx context.Context, after uint64, each func(Event) error) (uint64, error) {
	for {
		body, err := s.Get(ctx, "/api/v1/ledger/events?limit=1000&after="+strconv.FormatUint(after, 10))
		if err != nil {
			return after, err
		}
		var page struct {
			Items []Event `json:"items"`
			Next  uint64  `json:"next"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return after, err
		}
		for _, e := range page.Items {
			if err := each(e); err != nil {
				return after, err
			}
			after = e.Position
		}
		if page.Next == 0 {
			return after, nil
		}
	}
}

// hand gives everyone who votes a token.
func (b *Booth) hand(ctx context.Context, s Site) error {
	counts, known := map[string]bool{}, map[string]bool{} // units, people
	if _, err := s.Events(ctx, 0, func(e Event) error {
		event, err := registry.Codec.Decode(e.Type, e.Data)
		if err != nil {
			return nil // of another context
		}
		switch e := event.(type) {
		case registry.UnitRegistered:
			counts[e.ID] = e.Estate == b.Estate && e.State == registry.Delivered && e.Use != registry.Parking
		case registry.TitlesStated:
			for _, t := range e.Titles {
				if t.Votes && counts[e.ID] && !known[t.Person] {
					known[t.Person] = true
					b.People = append(b.People, t.Person)
				}
			}
		default: // nothing else says who votes for a unit that was only just imported
		}
		return nil
	}); err != nil {
		return err
	}
	b.Tokens = make([]string, len(b.People))
	expires := time.Now().Add(365 * 24 * time.Hour).UTC().Format(time.RFC3339)
	f := Press(ctx, s.Addr, 32, func(buf []byte, n int) ([]byte, bool) {
		if n >= len(b.People) {
			return buf, false
		}
		r := Request{"/tokens", b.Admin, "token-for-" + b.People[n], `{"person":"` + b.People[n] + `","expires":"` + expires + `"}`}
		return r.Append(buf, s.Addr), true
	}, func(n, _ int, body []byte) {
		var issued struct{ Token string }
		_ = json.Unmarshal(body, &issued) // an answer without one shows below
		b.Tokens[n] = issued.Token
	})
	for _, token := range b.Tokens {
		if token == "" {
			return fmt.Errorf("a token was not issued: %w", errors.Join(f.Only(http.StatusCreated)))
		}
	}
	return f.Only(http.StatusCreated)
}

// call sets up a meeting: the motion, the roll, the notice.
func (b *Booth) call(ctx context.Context, s Site, number int, closes time.Duration) (string, error) {
	var drafted struct{ ID string }
	err := b.Command(ctx, s, "/estates/"+b.Estate+"/meetings", map[string]any{
		"title":   "业主大会" + strconv.Itoa(number),
		"policy":  votes.Policy{Revote: votes.FirstBallotStands, PaperAndElectronic: votes.ElectronicStands, Unreturned: votes.UnreturnedNone},
		"motions": []map[string]string{{"id": "M1", "title": "选聘物业服务人", "matter": "民法典278-1-4", "scope": "estate"}},
	}, &drafted)
	if err != nil {
		return "", err
	}
	meeting := "/meetings/" + drafted.ID
	if err := b.Command(ctx, s, meeting+"/roll", nil, nil); err != nil {
		return "", err
	}
	now := time.Now().UTC()
	err = b.Command(ctx, s, meeting+"/notice", map[string]time.Time{"opens": now.Add(-time.Hour), "closes": now.Add(closes)}, nil)
	return drafted.ID, err
}

// Command sends a command of the administrator that sees those before it, and
// repeats it for a minute while the answer is that it should.
func (b *Booth) Command(ctx context.Context, s Site, path string, body, into any) error {
	encoded := []byte{}
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return err
		}
	}
	key := uuid.NewString()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) { // another process: there is nothing to wait for
		status, position, answer, err := b.post(ctx, s.URL()+service.Prefix+path, key, encoded)
		if err != nil {
			return err
		}
		switch status {
		case http.StatusCreated, http.StatusOK: // or there is nothing to do
			if position != "" {
				if b.position, err = strconv.ParseUint(position, 10, 64); err != nil {
					return err
				}
			}
			if into == nil {
				return nil
			}
			return json.Unmarshal(answer, into)
		case http.StatusAccepted, http.StatusServiceUnavailable:
			if time.Now().Before(deadline) {
				continue
			}
		}
		return fmt.Errorf("POST %s: %d %s", path, status, answer)
	}
}

func (b *Booth) post(ctx context.Context, url, key string, body []byte) (status int, position string, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + b.Admin, "Idempotency-Key": key, "Content-Type": "application/json",
		service.PositionHeader: strconv.FormatUint(b.position, 10),
	} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header.Get(service.PositionHeader), answer, err
}

// Ballot is the request of a voter's ballot in a meeting.
func (b *Booth) Ballot(meeting, voter int, key, choice string) Request {
	return Request{"/meetings/" + b.Meetings[meeting] + "/ballots", b.Tokens[voter], key, `{"choices":[{"motion":"M1","choice":"` + choice + `"}]}`}
}

// Payment is the request of a payment for a home, by its number, received today.
func (b *Booth) Payment(home int, key, reference string, fen int) Request {
	day := time.Now().In(time.FixedZone("Shanghai", 8*60*60)).Format(time.DateOnly)
	return Request{"/estates/" + b.Estate + "/payments", b.Admin, key, fmt.Sprintf(
		`{"received":%q,"reference":%q,"unit":%q,"period":%q,"amount_fen":%d}`, day, reference, code(home), day[:len("2006-01")], fen)}
}

// Count waits until all meetings are counted and adds up the heads for and against.
func (b *Booth) Count(ctx context.Context, s Site) (yes, no int, err error) {
	for _, id := range b.Meetings {
		var results struct {
			Items []struct {
				Yes int `json:"yes_heads"`
				No  int `json:"no_heads"`
			} `json:"items"`
		}
		deadline := time.Now().Add(time.Minute)
		body, err := s.Get(ctx, "/api/v1/meetings/"+id+"/results")
		for ; err != nil && time.Now().Before(deadline); body, err = s.Get(ctx, "/api/v1/meetings/"+id+"/results") {
			time.Sleep(20 * time.Millisecond) // another process: there is nothing to wait for
		}
		if err == nil {
			err = json.Unmarshal(body, &results)
		}
		if err != nil {
			return yes, no, err
		}
		for _, m := range results.Items {
			yes, no = yes+m.Yes, no+m.No
		}
	}
	return yes, no, nil
}
