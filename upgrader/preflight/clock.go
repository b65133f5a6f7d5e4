package preflight

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/model"
)

// OffsetMost is how far the clocks of two members may be apart.
const OffsetMost = 500 * time.Millisecond

// Reading is a question to a member and its answer, by the clock of the asker and
// by that of the member.
type Reading struct {
	Member   string
	Asked    time.Time // by the asker
	Heard    time.Time // by the member
	Said     time.Time // by the member
	Answered time.Time // by the asker
}

// offset is how far the member's clock is ahead of the asker's, give or take doubt.
// How long the member thought about its answer does not count.
func (r Reading) offset() (ahead, doubt time.Duration) {
	ahead = (r.Heard.Sub(r.Asked) + r.Said.Sub(r.Answered)) / 2
	onTheWay := r.Answered.Sub(r.Asked) - r.Said.Sub(r.Heard)
	return ahead, max(onTheWay, 0) / 2
}

// Offsets finds the members whose clocks are too far from where most are. The
// asker has a reading of itself among the others.
func Offsets(readings []Reading) []model.Finding {
	if len(readings) < 2 {
		return nil
	}
	most := middle(readings)
	at, _ := most.offset()
	var found []model.Finding
	for _, r := range readings {
		ahead, doubt := r.offset()
		if r.Member != most.Member {
			_, more := most.offset()
			doubt += more
		}
		if off := ahead - at; off.Abs()-doubt > OffsetMost {
			found = append(found, offFrom(r.Member, off))
		}
	}
	slices.SortFunc(found, func(a, b model.Finding) int { return strings.Compare(a.Member, b.Member) })
	return found
}

// middle is the reading whose clock is in the middle of all.
func middle(readings []Reading) Reading {
	sorted := slices.SortedFunc(slices.Values(readings), func(a, b Reading) int {
		x, _ := a.offset()
		y, _ := b.offset()
		return int(x.Microseconds() - y.Microseconds())
	})
	return sorted[(len(sorted)-1)/2]
}

func offFrom(member string, off time.Duration) model.Finding {
	where := "ahead of"
	if off < 0 {
		where = "behind"
	}
	return model.Finding{Name: ClockOffset, Severity: model.Soft, Member: member,
		What:     "its clock is " + where + " the others'",
		Measured: off.Abs().Round(100 * time.Millisecond).String(), Limit: OffsetMost.String(),
		Remedy: "have one time service set the clocks of all members (chrony, systemd-timesyncd)"}
}

// clockSync is what the kernel says of whether anything keeps its clock right.
func clockSync() []model.Finding {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return nil // a container may not ask
	}
	return unsynchronised(state, t)
}

func unsynchronised(state int, t unix.Timex) []model.Finding {
	if state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0 {
		return nil
	}
	return []model.Finding{{Name: ClockSync, Severity: model.Advice, What: "nothing keeps its clock right, the kernel says",
		Measured: fmt.Sprintf("an error of up to %s", (time.Duration(t.Maxerror) * time.Microsecond).Round(time.Millisecond)), Limit: "synchronised",
		Remedy: "run a time service (chrony, systemd-timesyncd)"}}
}
