package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// wrote is a talker whose writes up to n were acknowledged.
func wrote(n int) *talker {
	t := &talker{profile: "p", every: 2}
	next := t.next("")
	for i := range n {
		next(i)
		t.accept(i, Answer{Status: http.StatusOK, Body: []byte(`{"Name":"p"}`)})
	}
	return t
}

// holds is what a cluster holds that lost nothing of t's.
func holds(t *talker) map[string]int {
	params := map[string]int{}
	for i, value := range t.acked {
		if value != 0 {
			params["p"+string(rune('0'+i))] = value
		}
	}
	return params
}

func TestAnAcknowledgedWriteThatIsGoneIsFound(t *testing.T) {
	w := wrote(9) // five writes: 1, 3, 5, 7, 9
	if err := w.lost(holds(w)); err != nil {
		t.Errorf("nothing is lost: %v", err)
	}
	params := holds(w)
	params["p4"] = 0
	if err := w.lost(params); err == nil || !strings.Contains(err.Error(), "param p4: 9 was acknowledged, it holds 0") {
		t.Errorf("a lost write was not found: %v", err)
	}
}

func TestAWriteWithoutAnAnswerMayHaveBeenApplied(t *testing.T) {
	w := wrote(9)
	w.next("")(10)
	params := holds(w)
	if err := w.lost(params); err != nil {
		t.Errorf("it was not applied: %v", err)
	}
	params["p5"] = 11
	if err := w.lost(params); err != nil {
		t.Errorf("it was applied: %v", err)
	}
	params["p5"] = 12
	if err := w.lost(params); err == nil {
		t.Error("a value that nobody sent was taken")
	}
}

func TestTheLongestStallCountsWritesOnly(t *testing.T) {
	addr, ca := server(t, ok)
	c := client(addr, ca)
	c.Writes = func(n int) bool { return n == 19 }
	got := runFor(t, c, 20)
	if got.Stall <= got.Gap {
		t.Errorf("19 reads come before the first write, but the stall is %s and the gap %s", got.Stall, got.Gap)
	}
}
