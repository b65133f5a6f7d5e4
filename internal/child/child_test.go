package child

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheBeginningAndTheEndOfWhatIsSaidAreKept(t *testing.T) {
	for _, c := range []struct{ said, want string }{
		{"", ""},
		{" \n", ""},
		{"short\n", ": short"},
		{"0123456789", ": 0123456789"},
		{"0123456789abcdefghij", ": 0123456789abcdefghij"},
		{"0123456789" + strings.Repeat("x", 90) + "abcdefghij", ": 0123456789 ... abcdefghij"},
		{"\xff", ": ?"},
	} {
		for _, piece := range []int{1, 7, 1000} {
			s := Keep(10)
			for rest := c.said; rest != ""; rest = rest[min(piece, len(rest)):] {
				fmt.Fprint(s, rest[:min(piece, len(rest))])
			}
			if s.String() != c.want {
				t.Errorf("of %q in pieces of %d it keeps %q", c.said, piece, s)
			}
		}
	}
}
