package meeting_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

func TestObjectionsToARoll(t *testing.T) {
	set := civilCode(t)
	at := noon.Add(-time.Hour)
	object := meeting.ObjectToRoll{Objection: "o1", Person: "an", Unit: "5-1-101", Roll: "hash", Entry: "1", At: at, Words: "sealed"}
	raised := votes.RollObjected{Objection: "o1", Meeting: "m", Number: 1, Unit: "5-1-101", Entry: "1", Person: "an", At: at, Words: "sealed"}
	second := with(raised, func(r *votes.RollObjected) { r.Objection, r.Number, r.Unit, r.Entry = "o2", 2, "5-1-109", "" })
	yes := votes.RollObjectionAnswered{Objection: "o1", Meeting: "m", At: at, Upheld: true, Answer: "更正"}
	no := with(yes, func(a *votes.RollObjectionAnswered) { a.Upheld, a.Answer = false, "与登记一致" })
	withdrawn := votes.RollObjectionWithdrawn{Objection: "o1", Meeting: "m", At: at}
	posted := votes.NoticePosted{Meeting: "m", At: noon, Opens: opens, Closes: closes, RuleSet: set.ID, RuleHash: set.Hash}
	notice := meeting.PostNotice{Now: noon, Opens: opens, Closes: closes, Rules: set}
	past := with(drafted, func(d *votes.MeetingDrafted) { d.Past = true })
	anew := with(frozen, func(f *votes.RollFrozen) { f.SeenAt = 9 })
	withDays := set
	withDays.RollObjectionDays = 3
	posts := func(at string, c meeting.Calendar) (votes.RollFrozen, meeting.PostNotice) {
		return with(frozen, func(f *votes.RollFrozen) { f.At = shanghai(t, at) }), with(notice, func(n *meeting.PostNotice) { n.Rules, n.Calendar = withDays, c })
	}
	late, lateNotice := posts("2030-04-27 23:59", meeting.EveryDay)
	early, earlyNotice := posts("2030-04-28 00:00", meeting.EveryDay)
	_, unknownNotice := posts("2030-04-27 23:59", meeting.Calendar{})
	long, longNotice := posts("2030-04-17 23:59", meeting.Calendar{})
	labour, err := meeting.Calendar{}.With(meeting.HolidayYear{Year: 2030, Source: "test", Rest: []units.Day{"2030-05-01"}})
	if err != nil {
		t.Fatal(err)
	}
	_, labourNotice := posts("2030-04-27 23:59", labour)
	holiday, holidayNotice := posts("2030-04-26 00:00", labour) // three days after it is Monday, the 29th
	sunday, sundayNotice := posts("2030-04-25 00:00", labour)   // and after this one Sunday, the 28th

	estest.Run(t, meeting.Evolve, same, []estest.Case[meeting.Meeting, votes.Event]{
		{Name: "object to a roll", Given: events{drafted, frozen}, When: object, Then: events{raised}},
		{Name: "object before there is a roll", Given: events{drafted}, When: object, Err: meeting.ErrNoRoll},
		{Name: "object after the notice", Given: events{drafted, frozen, posted}, When: object, Err: meeting.ErrRollStands},
		{Name: "object to the roll of the past", Given: events{past, frozen}, When: object, Err: meeting.ErrPastMeeting},
		{Name: "object to a roll that was frozen anew meanwhile", Given: events{drafted, with(frozen, func(f *votes.RollFrozen) { f.Roll = "other" })}, When: object, Err: meeting.ErrRollAnew},
		{Name: "object twice", Given: events{drafted, frozen, raised}, When: with(object, func(c *meeting.ObjectToRoll) { c.Objection = "o2" }), Err: meeting.ErrObjected},
		{Name: "object again once it is answered", Given: events{drafted, frozen, raised, no}, When: with(object, func(c *meeting.ObjectToRoll) { c.Objection = "o2" }),
			Then: events{with(raised, func(r *votes.RollObjected) { r.Objection, r.Number = "o2", 2 })}},
		{Name: "object about a unit that is missing", Given: events{drafted, frozen, raised},
			When: with(object, func(c *meeting.ObjectToRoll) { c.Objection, c.Unit, c.Entry = "o2", "5-1-109", "" }), Then: events{second}},
		{Name: "object with words where the unit belongs", Given: events{drafted, frozen},
			When: with(object, func(c *meeting.ObjectToRoll) { c.Unit, c.Entry = "张三的房子", "" }), Err: meeting.ErrWhichUnit},
		{Name: "object about a registered unit of any name", Given: events{drafted, frozen},
			When: with(object, func(c *meeting.ObjectToRoll) { c.Unit, c.Entry, c.Registered = "车位甲", "", true }),
			Then: events{with(raised, func(r *votes.RollObjected) { r.Unit, r.Entry = "车位甲", "" })}},

		{Name: "uphold", Given: events{drafted, frozen, raised}, When: meeting.AnswerRollObjection{Objection: "o1", Upheld: true, Answer: "更正", At: at}, Then: events{yes}},
		{Name: "answer the same again", Given: events{drafted, frozen, raised, yes}, When: meeting.AnswerRollObjection{Objection: "o1", Upheld: true, Answer: "更正", At: noon}},
		{Name: "answer otherwise", Given: events{drafted, frozen, raised, yes}, When: meeting.AnswerRollObjection{Objection: "o1", Answer: "不", At: at}, Err: meeting.ErrAnswered},
		{Name: "answer what was withdrawn", Given: events{drafted, frozen, raised, withdrawn}, When: meeting.AnswerRollObjection{Objection: "o1", Answer: "不", At: at}, Err: meeting.ErrWithdrawn},
		{Name: "withdraw", Given: events{drafted, frozen, raised}, When: meeting.WithdrawRollObjection{Objection: "o1", At: at}, Then: events{withdrawn}},
		{Name: "withdraw what is answered", Given: events{drafted, frozen, raised, no}, When: meeting.WithdrawRollObjection{Objection: "o1", At: at}, Err: meeting.ErrAnswered},

		{Name: "notice while an objection is open", Given: events{drafted, frozen, raised}, When: notice, Err: meeting.ErrRollObjections},
		{Name: "notice while a second one is open", Given: events{drafted, frozen, raised, second, no}, When: notice, Err: meeting.ErrRollObjections},
		{Name: "notice after one was upheld, with the old roll", Given: events{drafted, frozen, raised, yes}, When: notice, Err: meeting.ErrRollUpheld},
		{Name: "notice with the roll frozen anew", Given: events{drafted, frozen, raised, yes, anew}, When: notice, Then: events{posted}},
		{Name: "notice while one is open though the roll was frozen anew", Given: events{drafted, frozen, raised, anew}, When: notice, Err: meeting.ErrRollObjections},
		{Name: "notice after one was not upheld", Given: events{drafted, frozen, raised, no}, When: notice, Then: events{posted}},
		{Name: "notice after one was withdrawn", Given: events{drafted, frozen, raised, withdrawn}, When: notice, Then: events{posted}},
		{Name: "Civil Code art. 201: notice once the third day after the roll was posted is over", Given: events{drafted, late}, When: lateNotice, Then: events{posted}},
		{Name: "Civil Code art. 201: notice on the third day, though three times 24 hours have passed", Given: events{drafted, early}, When: earlyNotice, Err: meeting.ErrRollDays},
		{Name: "Civil Code art. 203: notice on the third day, of which the last is a working day", Given: events{drafted, late}, When: labourNotice, Then: events{posted}},
		{Name: "notice on the third day, of a year whose days off nobody knows", Given: events{drafted, late}, When: unknownNotice, Err: meeting.ErrRollDays},
		{Name: "notice once it is over, whichever days are off", Given: events{drafted, long}, When: longNotice, Then: events{posted}},
		{Name: "notice days after that", Given: events{drafted, holiday}, When: holidayNotice, Then: events{posted}},
		{Name: "Civil Code art. 203: notice on the Monday that took the place of a Sunday", Given: events{drafted, sunday},
			When: with(sundayNotice, func(n *meeting.PostNotice) {
				n.Now = shanghai(t, "2030-04-29 23:59")
				n.Opens = n.Now.AddDate(0, 0, 15)
			}), Err: meeting.ErrRollDays},
		{Name: "Civil Code art. 203: notice when that Monday is over", Given: events{drafted, sunday},
			When: with(sundayNotice, func(n *meeting.PostNotice) {
				n.Now = shanghai(t, "2030-04-30 00:00")
				n.Opens = n.Now.AddDate(0, 0, 15)
			}), Then: events{with(posted, func(p *votes.NoticePosted) {
				p.At, p.Opens = shanghai(t, "2030-04-30 00:00"), shanghai(t, "2030-05-15 00:00")
			})}},
	})
}

// Whatever somebody writes for a unit or an answer, no phone, no number of a document
// and no words about a unit that nobody knows get into the ledger.
func FuzzWordsOfAnObjectionToTheRoll(f *testing.F) {
	f.Add("5-1-101", "登记簿上是 82.00 ㎡。")
	f.Add("13800000000", "请致电13800000000")
	f.Add("我家漏了", "11010519491231002X")
	f.Add("", strings.Repeat("长", 1001))
	phone := regexp.MustCompile(`(^|\D)(1[3-9]\d{9}|\d{17}[\dXx])(\D|$)`)
	f.Fuzz(func(t *testing.T, unit, answer string) {
		m := meeting.Evolve(meeting.Evolve(meeting.Meeting{}, drafted), frozen)
		raised, err := meeting.ObjectToRoll{Objection: "o", Person: "p", Unit: unit, Roll: "hash", At: noon, Words: "sealed"}.Decide(m)
		if err != nil {
			return
		}
		o := raised[0].(votes.RollObjected)
		if !regexp.MustCompile(`^[0-9A-Za-z-]{1,20}$`).MatchString(o.Unit) || phone.MatchString(o.Unit) {
			t.Fatalf("recorded: %q", o.Unit)
		}
		answered, err := meeting.AnswerRollObjection{Objection: "o", Answer: answer, At: noon}.Decide(meeting.Evolve(m, o))
		if err != nil {
			return
		}
		if a := answered[0].(votes.RollObjectionAnswered); phone.MatchString(a.Answer) || strings.TrimSpace(a.Answer) == "" || len([]rune(a.Answer)) > 1000 {
			t.Fatalf("recorded: %q", a.Answer)
		}
	})
}
