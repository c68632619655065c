package pages

import (
	"testing"

	"pgregory.net/rapid"
)

func TestNumbersAreWrittenAsOnANotice(t *testing.T) {
	for name, c := range map[string]struct{ got, want string }{
		"yuan":                             {Yuan(18604100), "186,041.00"},
		"a minus is a minus sign":          {Yuan(-148000), "−1,480.00"},
		"less than a yuan":                 {Yuan(-5), "−0.05"},
		"millions":                         {Yuan(123456789012), "1,234,567,890.12"},
		"area":                             {Square(8800473), "88,004.73"},
		"count":                            {Count(1535), "1,535"},
		"three digits need no comma":       {Count(976), "976"},
		"headline in 万元":                   {Short(Chinese, -11219032), "−11.2 万元"},
		"headline in thousands":            {Short(English, -11219032), "−112.2 thousand yuan"},
		"headline below 万":                 {Short(Chinese, 943400), "9,434.00 元"},
		"headline rounds half up":          {Short(Chinese, 1_050_000), "1.1 万元"},
		"percent half up":                  {Share(7155874, 8585937), "83.3%"},
		"percent of nothing":               {Share(1, 0), "—"},
		"percent over one hundred":         {Share(1570400, 1500000), "104.7%"},
		"vote with two decimals":           {Vote(760, 976, Threshold{2, 3}), "77.86%"},
		"a vote just short of two thirds":  {Vote(666666, 1000000, Threshold{2, 3}), "66.66%"},
		"a vote just short of one half":    {Vote(499999, 1000000, Threshold{1, 2}), "49.99%"},
		"a vote just over one half":        {Vote(500001, 1000000, Threshold{1, 2}), "50.0001%"},
		"exactly one half is one half":     {Vote(5, 10, Threshold{1, 2}), "50.00%"},
		"exactly two thirds, rounded down": {Vote(2, 3, Threshold{2, 3}), "66.66%"},
		"all":                              {Vote(15, 15, Threshold{1, 2}), "100.00%"},
		"month":                            {MonthName(Chinese, "2022-07"), "7月"},
		"month in English":                 {MonthName(English, "2022-07"), "Jul"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

func TestAVoteNeverReadsAsIfItWereAcrossItsThreshold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.Int64Range(1, 1<<40).Draw(t, "whole")
		part := rapid.Int64Range(0, whole).Draw(t, "part")
		threshold := rapid.SampledFrom([]Threshold{{2, 3}, {1, 2}, {3, 4}}).Draw(t, "threshold")
		short := part*threshold.Den < whole*threshold.Num
		var n, scale int64 = 0, 1
		seen := false
		for _, r := range Vote(part, whole, threshold) {
			switch {
			case r >= '0' && r <= '9':
				n = n*10 + int64(r-'0')
				if seen {
					scale *= 10
				}
			case r == '.':
				seen = true
			}
		}
		// n ÷ (100·scale) is what a reader sees; it fits: at most 17 digits. Exactly two thirds is never to be read so.
		exact := part*threshold.Den == whole*threshold.Num
		if n < 1<<53 && !exact && (n*threshold.Den < 100*scale*threshold.Num) != short {
			t.Fatalf("%d of %d reads %s", part, whole, Vote(part, whole, threshold))
		}
	})
}

func TestDrawingsStayOnTheirLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.Int64().Draw(t, "part")
		whole := rapid.Int64().Draw(t, "whole")
		if at := along(part, whole, 1000); at < 0 || at > 1000 {
			t.Fatalf("along(%d, %d) = %d", part, whole, at)
		}
	})
}
