package e2e

import "time"

// Tallies is what came of the requests of several clients.
type Tallies []Tally

// Requests is how many requests were made.
func (ts Tallies) Requests() (n int) {
	for _, t := range ts {
		n += t.Requests
	}
	return n
}

// Failed is how many requests did not get the answer they should have.
func (ts Tallies) Failed() (n int) {
	for _, t := range ts {
		n += t.Failed
	}
	return n
}

// Unsent is how many of those that failed had lost their connection before they
// went out.
func (ts Tallies) Unsent() (n int) {
	for _, t := range ts {
		n += t.Unsent
	}
	return n
}

// Failures are the first failures of each client.
func (ts Tallies) Failures() (all []Failure) {
	for _, t := range ts {
		all = append(all, t.Failures...)
	}
	return all
}

// Of are the tallies of the clients that talk to addr.
func (ts Tallies) Of(addr string) (some Tallies) {
	for _, t := range ts {
		if t.Addr == addr {
			some = append(some, t)
		}
	}
	return some
}

// LongestGap is the longest time that one of the clients was without a good
// answer: of one member's clients, its time out of service.
func (ts Tallies) LongestGap() (longest time.Duration) {
	for _, t := range ts {
		longest = max(longest, t.Gap)
	}
	return longest
}

// GapEnd is when the longest gap ended.
func (ts Tallies) GapEnd() (end time.Time) {
	for _, t := range ts {
		if t.Gap == ts.LongestGap() {
			end = t.GapEnd
		}
	}
	return end
}

// LongestStall is the longest time that one of the clients was without an
// acknowledged write.
func (ts Tallies) LongestStall() (longest time.Duration) {
	for _, t := range ts {
		longest = max(longest, t.Stall)
	}
	return longest
}

// SlowestRate is the rate of the client that made the fewest requests a second.
func (ts Tallies) SlowestRate() float64 {
	slowest := 0.0
	for i, t := range ts {
		if r := t.Rate(); i == 0 || r < slowest {
			slowest = r
		}
	}
	return slowest
}
