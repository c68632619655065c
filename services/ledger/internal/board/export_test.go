package board

import "testing"

// Examine sets how many rows a search looks at, until the test ends.
func Examine(t testing.TB, rows int) {
	before := examined
	examined = rows
	t.Cleanup(func() { examined = before })
}
