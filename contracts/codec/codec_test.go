package codec_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/codec/codectest"
)

type event interface{ event() }

// opened is written today; openedV1 was, and named only one room.
type opened struct {
	Rooms []string `json:"rooms"`
}

type openedV1 struct {
	Room string `json:"room"`
}

type closed struct{}

type stranger struct{}

func (opened) event() {}
func (closed) event() {}

func upcast(v openedV1) event { return opened{Rooms: []string{v.Room}} }

var doors = codec.New(
	codec.Old[event]("opened.v1", upcast),
	codec.Of[event, opened]("opened.v2"),
	codec.Of[event, closed]("closed.v1"),
)

func TestGolden(t *testing.T) { codectest.Golden(t, doors, "testdata/events") }

func TestNamesAndTypes(t *testing.T) {
	if got, want := doors.Names(), []string{"closed.v1", "opened.v1", "opened.v2"}; !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
	want := map[string]reflect.Type{"opened.v2": reflect.TypeFor[opened](), "closed.v1": reflect.TypeFor[closed]()}
	if got := doors.Types(); !reflect.DeepEqual(got, want) {
		t.Errorf("types %v, want %v", got, want)
	}
}

func TestOldVersionIsReadAsTodays(t *testing.T) {
	got, err := doors.Decode("opened.v1", []byte(`{"room":"101"}`))
	if err != nil || !reflect.DeepEqual(got, opened{Rooms: []string{"101"}}) {
		t.Fatalf("got %#v, %v", got, err)
	}
	name, data, err := doors.Encode(got)
	if err != nil || name != "opened.v2" || string(data) != `{"rooms":["101"]}` {
		t.Fatalf("written as %s %s, %v", name, data, err)
	}
}

func TestFieldAddedLaterIsLeftAlone(t *testing.T) {
	if _, err := doors.Decode("closed.v1", []byte(`{"by":"someone"}`)); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNotListedIsRefused(t *testing.T) {
	if _, err := doors.Decode("opened.v3", []byte(`{}`)); err == nil || !strings.Contains(err.Error(), "opened.v3") {
		t.Errorf("unknown name: %v", err)
	}
	if _, err := doors.Decode("opened.v2", []byte(`{"rooms":`)); err == nil || !strings.Contains(err.Error(), "opened.v2") {
		t.Errorf("half an event: %v", err)
	}
	if _, err := doors.Decode("opened.v1", []byte(`{"room":1}`)); err == nil {
		t.Error("a number was read as a room")
	}
	if _, _, err := doors.Encode(nil); err == nil {
		t.Error("nothing was encoded")
	}
	if _, _, err := codec.New(codec.Of[event, closed]("closed.v1")).Encode(opened{}); err == nil {
		t.Error("an event that is not listed was encoded")
	}
}

func TestBadListPanics(t *testing.T) {
	for name, list := range map[string]func(){
		"a name twice":    func() { codec.New(codec.Of[event, opened]("a.v1"), codec.Of[event, closed]("a.v1")) },
		"a type twice":    func() { codec.New(codec.Of[event, opened]("a.v1"), codec.Of[event, opened]("a.v2")) },
		"not of the kind": func() { codec.New(codec.Of[event, stranger]("a.v1")) },
		"an old name that is current too": func() {
			codec.New(codec.Of[event, opened]("a.v1"), codec.Old[event]("a.v1", upcast))
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("was taken")
				}
			}()
			list()
		})
	}
}

// FuzzDecode: what is stored may be damaged; reading it never panics, and what
// is read can be written.
func FuzzDecode(f *testing.F) {
	f.Add("opened.v1", []byte(`{"room":"101"}`))
	f.Add("opened.v2", []byte(`{"rooms":["101"]}`))
	f.Add("closed.v1", []byte(`null`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		e, err := doors.Decode(name, data)
		if err != nil {
			return
		}
		_, again, err := doors.Encode(e)
		if err != nil || !json.Valid(again) {
			t.Fatalf("%s %s read as %#v: %v", name, data, e, err)
		}
	})
}
