package meeting_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// hash is of a signature, a receipt or a photograph.
var hash = strings.Repeat("ab", 32)

// told is a meeting whose notice is posted; what its policy says of silence is
// set beside the rules, which know of it elsewhere.
func told(t *testing.T, unreturned string) meeting.Meeting {
	set := civilCode(t)
	m := meeting.Meeting{}
	for _, e := range []votes.Event{
		with(drafted, func(d *votes.MeetingDrafted) { d.Policy.Unreturned = unreturned }), frozen,
		votes.NoticePosted{Meeting: "m", At: noon, Opens: opens, Closes: closes, RuleSet: set.ID, RuleHash: set.Hash},
	} {
		m = meeting.Evolve(m, e)
	}
	return m
}

const silence = votes.UnreturnedTakesPart

func TestANoticeIsDeliveredToOneOwner(t *testing.T) {
	quiet, warns := told(t, votes.UnreturnedNone), told(t, silence)
	now := noon.AddDate(0, 0, 3)
	handed := votes.NoticeDelivered{Meeting: "m", Entry: "7", Channel: votes.ByHand, At: now, Proof: hash}
	deliver := meeting.DeliverNotice{Meeting: quiet, Entry: votes.Entry{Entry: "7"}, Now: now,
		NoticeDelivered: votes.NoticeDelivered{Channel: votes.ByHand, At: now, Proof: hash}}
	of := func(change func(*meeting.DeliverNotice)) meeting.DeliverNotice { return with(deliver, change) }
	app := func(d *meeting.DeliverNotice) { d.Channel, d.Proof = votes.ByApp, "" }
	wrong := problem.Invalid("delivery-wrong", "")
	warned := with(handed, func(e *votes.NoticeDelivered) { e.Warned = true })

	estest.Run(t, meeting.EvolveBallots, same, []estest.Case[meeting.Ballots, votes.Event]{
		{Name: "handed over and signed for", When: deliver, Then: events{handed}},
		{Name: "by mail", When: of(func(d *meeting.DeliverNotice) { d.Channel = votes.ByMail }),
			Then: events{with(handed, func(e *votes.NoticeDelivered) { e.Channel = votes.ByMail })}},
		{Name: "confirmed by the owner, without a proof", When: of(app),
			Then: events{with(handed, func(e *votes.NoticeDelivered) { e.Channel, e.Proof = votes.ByApp, "" })}},
		{Name: "with a warning where silence may count", When: of(func(d *meeting.DeliverNotice) { d.Meeting, d.Warned = warns, true }), Then: events{warned}},
		{Name: "with a warning where silence counts for nobody", When: of(func(d *meeting.DeliverNotice) { d.Warned = true }), Err: meeting.ErrNoSilence},
		{Name: "without a proof", When: of(func(d *meeting.DeliverNotice) { d.Proof = "" }), Err: wrong},
		{Name: "with a proof that is no hash", When: of(func(d *meeting.DeliverNotice) { d.Proof = "signed.jpg" }), Err: wrong},
		{Name: "confirmed, with a proof: the owner has none to give", When: of(func(d *meeting.DeliverNotice) { d.Channel = votes.ByApp }), Err: wrong},
		{Name: "put up: that is recorded once for all", When: of(func(d *meeting.DeliverNotice) { d.Channel = votes.ByPosting }), Err: wrong},
		{Name: "at the instant of the notice", When: of(func(d *meeting.DeliverNotice) { d.At = noon }),
			Then: events{with(handed, func(e *votes.NoticeDelivered) { e.At = noon })}},
		{Name: "before the notice was posted", When: of(func(d *meeting.DeliverNotice) { d.At = noon.Add(-1) }), Err: meeting.ErrDeliveryTime},
		{Name: "in the future", When: of(func(d *meeting.DeliverNotice) { d.At = now.Add(1) }), Err: meeting.ErrDeliveryTime},
		{Name: "at the instant voting closes", When: of(func(d *meeting.DeliverNotice) { d.At, d.Now = closes, closes }), Err: meeting.ErrDeliveryTime},
		{Name: "recorded after the deadline, of a time before it", When: of(func(d *meeting.DeliverNotice) { d.Now = closes.Add(time.Second) }), Then: events{handed}},
		{Name: "after voting was closed in the ledger", When: of(func(d *meeting.DeliverNotice) { d.Meeting.Closed = true }), Err: meeting.ErrDeliveryClosed},
		{Name: "without a notice", When: of(func(d *meeting.DeliverNotice) { d.Meeting.Notice = votes.NoticePosted{} }), Err: meeting.ErrNoNotice},
		{Name: "the same again changes nothing", Given: events{handed}, When: deliver},
		{Name: "confirmed again changes nothing, whenever that is", Given: events{with(handed, func(e *votes.NoticeDelivered) { e.Channel, e.Proof = votes.ByApp, "" })},
			When: of(func(d *meeting.DeliverNotice) { app(d); d.At, d.Now = now.Add(time.Hour), now.Add(time.Hour) })},
		{Name: "a second letter, with a signature of its own", Given: events{with(handed, func(e *votes.NoticeDelivered) { e.Proof = strings.Repeat("cd", 32) })}, When: deliver, Then: events{handed}},
		{Name: "again, now with a warning", Given: events{handed}, When: of(func(d *meeting.DeliverNotice) { d.Meeting, d.Warned = warns, true }), Then: events{warned}},
	})
}

func TestANoticeDoesNotReachAnOwner(t *testing.T) {
	now := noon.AddDate(0, 0, 3)
	failed := votes.DeliveryFailed{Meeting: "m", Entry: "7", Channel: votes.ByHand, At: now, Why: "无人在家", Next: "再次上门"}
	fail := meeting.FailDelivery{Meeting: told(t, votes.UnreturnedNone), Entry: votes.Entry{Entry: "7"}, Now: now,
		DeliveryFailed: votes.DeliveryFailed{Channel: votes.ByHand, At: now, Why: "无人在家", Next: "再次上门"}}
	of := func(change func(*meeting.FailDelivery)) meeting.FailDelivery { return with(fail, change) }
	wrong := problem.Invalid("delivery-wrong", "")

	estest.Run(t, meeting.EvolveBallots, same, []estest.Case[meeting.Ballots, votes.Event]{
		{Name: "nobody was at home", When: fail, Then: events{failed}},
		{Name: "the same again changes nothing", Given: events{failed}, When: fail},
		{Name: "a second time in vain", Given: events{with(failed, func(e *votes.DeliveryFailed) { e.At = noon })}, When: fail, Then: events{failed}},
		{Name: "why, in words of one's own", When: of(func(f *meeting.FailDelivery) { f.Why = "老王出国了" }), Err: wrong},
		{Name: "without what is done about it", When: of(func(f *meeting.FailDelivery) { f.Next = "" }), Err: wrong},
		{Name: "by confirmation: that cannot fail", When: of(func(f *meeting.FailDelivery) { f.Channel = votes.ByApp }), Err: wrong},
		{Name: "before the notice", When: of(func(f *meeting.FailDelivery) { f.At = noon.Add(-1) }), Err: meeting.ErrDeliveryTime},
		{Name: "after voting was closed", When: of(func(f *meeting.FailDelivery) { f.Meeting.Closed = true }), Err: meeting.ErrDeliveryClosed},
	})
}

func TestANoticeIsPutUp(t *testing.T) {
	begin := func(unreturned string) events {
		return events{
			with(drafted, func(d *votes.MeetingDrafted) { d.Policy.Unreturned = unreturned }), frozen,
			votes.NoticePosted{Meeting: "m", At: noon, Opens: opens, Closes: closes},
		}
	}
	day := func(n int) units.Day { return units.DayOf(noon.AddDate(0, 0, n)) }
	up := votes.NoticeDisplayed{Meeting: "m", Place: "1号楼大厅", Photo: hash, From: day(0), Until: day(6)}
	display := meeting.DisplayNotice{Now: noon.Add(time.Hour), NoticeDisplayed: with(up, func(e *votes.NoticeDisplayed) { e.Meeting = "" })}
	of := func(change func(*meeting.DisplayNotice)) meeting.DisplayNotice { return with(display, change) }
	wrong, short := problem.Invalid("display-wrong", ""), problem.Invalid("display-too-short", "")
	quiet := begin(votes.UnreturnedNone)

	estest.Run(t, meeting.Evolve, same, []estest.Case[meeting.Meeting, votes.Event]{
		{Name: "for seven days", Given: quiet, When: display, Then: events{up}},
		{Name: "舟山: seven days are enough, the first and the last included", Given: quiet, When: of(func(d *meeting.DisplayNotice) { d.Days = 7 }), Then: events{up}},
		{Name: "舟山: six days are not", Given: quiet, When: of(func(d *meeting.DisplayNotice) { d.Days, d.Until = 7, day(5) }), Err: short},
		{Name: "滨州: five days are enough", Given: quiet, When: of(func(d *meeting.DisplayNotice) { d.Days, d.Until = 5, day(4) }),
			Then: events{with(up, func(e *votes.NoticeDisplayed) { e.Until = day(4) })}},
		{Name: "the same again changes nothing", Given: append(slices.Clone(quiet), up), When: display},
		{Name: "before the day of the notice", Given: quiet, When: of(func(d *meeting.DisplayNotice) { d.From = day(-1) }), Err: meeting.ErrDisplayDays},
		{Name: "from tomorrow: what is photographed stands", Given: quiet, When: of(func(d *meeting.DisplayNotice) { d.From = day(1) }), Err: meeting.ErrDisplayDays},
		{Name: "until the day on which voting closes", Given: quiet, When: of(func(d *meeting.DisplayNotice) { d.Until = units.DayOf(closes) }), Err: meeting.ErrDisplayDays},
		{Name: "down before it was up", Given: quiet, When: of(func(d *meeting.DisplayNotice) { d.Until = day(-1) }), Err: meeting.ErrDisplayDays},
		{Name: "nowhere", Given: quiet, When: of(func(d *meeting.DisplayNotice) { d.Place = " " }), Err: wrong},
		{Name: "without a photograph", Given: quiet, When: of(func(d *meeting.DisplayNotice) { d.Photo = "" }), Err: wrong},
		{Name: "for days that are none", Given: quiet, When: of(func(d *meeting.DisplayNotice) { d.Until = "2030-02-31" }), Err: wrong},
		{Name: "with a warning where silence counts for nobody", Given: quiet, When: of(func(d *meeting.DisplayNotice) { d.Warned = true }), Err: meeting.ErrNoSilence},
		{Name: "with a warning where it may count", Given: begin(silence), When: of(func(d *meeting.DisplayNotice) { d.Warned = true }),
			Then: events{with(up, func(e *votes.NoticeDisplayed) { e.Warned = true })}},
		{Name: "before the notice", Given: quiet[:2], When: display, Err: meeting.ErrNoNotice},
		{Name: "after voting was closed", Given: append(slices.Clone(quiet), votes.VotingClosed{}), When: display, Err: meeting.ErrDeliveryClosed},
		{Name: "letters with codes, until voting closes", Given: quiet, When: meeting.IssueCodes{Entries: []int{1, 2, 3, 5, 8, 9}, Now: noon},
			Then: events{votes.BallotCodesIssued{Meeting: "m", Entries: []string{"1-3", "5", "8-9"}, Count: 6, Until: closes}}},
		{Name: "letters for nobody", Given: quiet, When: meeting.IssueCodes{Now: noon}, Err: meeting.ErrNoLetters},
		{Name: "letters after the deadline", Given: quiet, When: meeting.IssueCodes{Entries: []int{1}, Now: closes}, Err: meeting.ErrDeliveryClosed},
		{Name: "letters before the notice", Given: quiet[:2], When: meeting.IssueCodes{Entries: []int{1}, Now: noon}, Err: meeting.ErrNoNotice},
	})
}

func TestHowANoticeReachedAnOwner(t *testing.T) {
	at := func(n int) time.Time { return noon.AddDate(0, 0, n) }
	day := func(n int) units.Day { return units.DayOf(at(n)) }
	hand := votes.NoticeDelivered{Channel: votes.ByHand, At: at(3)}
	mail := votes.NoticeDelivered{Channel: votes.ByMail, At: at(2)}
	warned := votes.NoticeDelivered{Channel: votes.ByApp, At: at(4), Warned: true}
	failed := votes.DeliveryFailed{Channel: votes.ByHand, At: at(1)}
	up := votes.NoticeDisplayed{From: day(1), Until: day(7), Warned: true}
	for _, c := range []struct {
		name    string
		display bool
		events  events
		by      time.Time
		want    meeting.Reached
	}{
		{"nobody tried", true, nil, closes, meeting.Reached{}},
		{"the first way counts", false, events{hand, mail}, closes, meeting.Reached{Channel: votes.ByMail, At: at(2)}},
		{"a way with a warning counts before one without", false, events{mail, warned, hand}, closes, meeting.Reached{Channel: votes.ByApp, At: at(4), Warned: true}},
		{"a warning that came too late does not", false, events{mail, warned}, at(3), meeting.Reached{Channel: votes.ByMail, At: at(2)}},
		{"a try in vain reaches nobody", false, events{failed}, closes, meeting.Reached{}},
		{"滨州, 舟山: a posting reaches who was tried in vain, after its days", true, events{failed}, closes, meeting.Reached{Channel: votes.ByPosting, At: day(8).Start(), Warned: true}},
		{"and not while it stands", true, events{failed}, day(8).Start().Add(-1), meeting.Reached{}},
		{"who was reached otherwise is not warned by it", true, events{failed, mail}, closes, meeting.Reached{Channel: votes.ByMail, At: at(2)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, b := told(t, silence), meeting.Ballots{}
			if c.display {
				m = meeting.Evolve(m, up)
			}
			for _, e := range c.events {
				b = meeting.EvolveBallots(b, e)
			}
			if got := m.Reached(b, c.by); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// Whatever a list of entries says, it is read as numbers of the roll, in order and
// each once, or not at all; and what is written of numbers reads as these.
func FuzzEntriesOfLetters(f *testing.F) {
	f.Add("1-16,18", 20)
	f.Add("3,2", 9)
	f.Add("1-99999999999999999999", 60000)
	f.Add("-,1--2,+1, 1", 3)
	f.Fuzz(func(t *testing.T, text string, entries int) {
		entries = max(0, min(entries, 60000))
		numbers, err := meeting.Numbers(strings.Split(text, ","), entries)
		if err != nil {
			return
		}
		for i, n := range numbers {
			if n < 1 || n > entries || i > 0 && n <= numbers[i-1] {
				t.Fatalf("%q: %d", text, n)
			}
		}
		if again, err := meeting.Numbers(meeting.Ranges(numbers), entries); err != nil || !slices.Equal(again, numbers) {
			t.Fatalf("%q: %v, %v", text, again, err)
		}
	})
}

func TestTheOrderInWhichDeliveriesAreRecordedMakesNoDifference(t *testing.T) {
	m := meeting.Evolve(told(t, silence), votes.NoticeDisplayed{From: units.DayOf(noon), Until: units.DayOf(noon.AddDate(0, 0, 6))})
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5).Draw(t, "events")
		var list events
		for i := range n {
			at := noon.Add(time.Duration(rapid.IntRange(0, 700).Draw(t, "hours"))*time.Hour + time.Duration(i))
			if rapid.Bool().Draw(t, "failed") {
				list = append(list, votes.DeliveryFailed{At: at})
			} else {
				list = append(list, votes.NoticeDelivered{Channel: votes.ByHand, At: at, Warned: rapid.Bool().Draw(t, "warned")})
			}
		}
		reached := func(list events) meeting.Reached {
			b := meeting.Ballots{}
			for _, e := range list {
				b = meeting.EvolveBallots(b, e)
			}
			return m.Reached(b, closes)
		}
		if a, b := reached(list), reached(rapid.Permutation(list).Draw(t, "order")); a != b {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}
