package vault

import (
	"strings"
	"testing"
)

// A code is read however it is typed: in small letters, with or without dashes and
// spaces, and with digits for the letters that look like them.
func FuzzTyped(f *testing.F) {
	f.Add("ABCD-EFGH-IJKL-MNOP")
	f.Add(" abcd efgh ijkl mnop ")
	f.Add("0188-----")
	f.Add("一次性登录码")
	f.Fuzz(func(t *testing.T, text string) {
		code := typed(text)
		if strings.ContainsAny(code, "- 018") || typed(code) != code {
			t.Fatalf("%q is read as %q", text, code)
		}
		if again := typed(grouped(code, 4)); isASCII(code) && again != code {
			t.Fatalf("%q, written in groups, is read as %q", code, again)
		}
		if small := typed(strings.ToLower(code)); isASCII(code) && small != code {
			t.Fatalf("%q in small letters is read as %q", code, small)
		}
	})
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 }) }
