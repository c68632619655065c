package votes

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

var ballots = []BallotCast{
	{Ballot: "3f0c1d0b-5b1e-4c7a-9d20-6f1a00015445", Meeting: "3f0c1d0a-5b1e-4c7a-9d20-6f1a00013556", Entry: "17", Channel: Electronic,
		At: time.Date(2026, 3, 1, 8, 0, 0, 123000, time.UTC), Motions: []string{"M1", "议题二"}, Sealed: "AXxJk0fYQ0m1p9m0C6m0mB8wXb1r7xQ0S1l2c3R1dnd4eXo="},
	{Channel: Paper, At: time.Date(2026, 3, 1, 16, 0, 0, 0, time.FixedZone("", 8*3600)), Motions: []string{""}, Sealed: "-"},
}

func TestBallotsAsTheyAreWrittenAreReadTheShortWay(t *testing.T) {
	for _, want := range ballots {
		_, data, err := Codec.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		var long BallotCast
		if err := json.Unmarshal(data, &long); err != nil {
			t.Fatal(err)
		}
		if got, ok := shortBallot(data); !ok || !reflect.DeepEqual(got, long) {
			t.Errorf("%s read as %+v, %v", data, got, ok)
		}
	}
}

// FuzzShortBallot: what is read the short way is what encoding/json reads, and what
// it does not read is read the long way.
func FuzzShortBallot(f *testing.F) {
	for _, e := range ballots {
		_, data, err := Codec.Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		for _, change := range [][2]string{
			{`"M1"`, `"M1" `}, {`"M1"`, `"M\u0031"`}, {`"M1"`, "\"M\xff\""}, {`"M1"`, "\"M\n\""}, {`"M1",`, ``}, {`["M1","议题二"]`, `[]`}, {`["M1"`, `["M1",`},
			{`"ballot"`, `"Ballot"`}, {`"sealed"`, `"sealed":"x","sealed"`}, {`T08:00`, `t08:00`}, {`T08:00`, `T8:00`}, {`00Z`, `00,5Z`}, {`电子`, `电 子`},
			{`,"sealed"`, `,"choices":[],"sealed"`}, {`}`, `} `}, {`}`, `,"unknown":1}`}, {`-5b1e-`, `-5b1e\"-`}, {`"17"`, `17`}, {`"17"`, `null`},
		} {
			f.Add([]byte(strings.Replace(string(data), change[0], change[1], 1)))
		}
	}
	f.Add([]byte(`{"ballot":"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := shortBallot(data)
		var want BallotCast
		err := json.Unmarshal(data, &want)
		if ok && (err != nil || !reflect.DeepEqual(got, want)) {
			t.Fatalf("%s is read as %+v, and by encoding/json as %+v, %v", data, got, want, err)
		}
		e, failed := Codec.Decode("ballot-cast.v1", data)
		if (failed == nil) != (err == nil) || err == nil && !reflect.DeepEqual(e, Event(want)) {
			t.Fatalf("%s is decoded as %+v, %v, and by encoding/json as %+v, %v", data, e, failed, want, err)
		}
	})
}
