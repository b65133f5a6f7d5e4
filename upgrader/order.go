package upgrader

import (
	"slices"

	"github.com/theseusd/theseus/model"
)

// Who is next: observers, then voters, each in the order of the plan, whoever
// leads last. A leader never claims; when it alone waits it hands over to a
// member that is done.

func finished(p model.Progress) bool { return p.Step == model.Done || p.Step == model.Skipped }

// waiting is the first member, other than the one who leads, that has yet to go.
func (v sight) waiting() *model.Progress {
	var voter *model.Progress
	for i := range v.u.Members {
		p := &v.u.Members[i]
		switch {
		case p.Step != model.Waiting || p.ID == v.Me:
		case !slices.Contains(v.Voters, p.ID):
			return p
		case voter == nil:
			voter = p
		}
	}
	return voter
}

func (v sight) selfWaiting() bool {
	p := v.u.Member(v.Me)
	return p != nil && p.Step == model.Waiting
}

// free: a member may go now.
func (v sight) free() bool { return v.turn == nil && !v.u.Stop && v.Open }

func otherWaits(v sight) bool { return v.free() && v.waiting() != nil }

func selfWaits(v sight) bool { return v.free() && v.waiting() == nil && v.selfWaiting() }

func aloneWaits(v sight) bool { return selfWaits(v) && len(v.Voters) == 1 }

// stranded: for as long as a turn may last nobody could be given one, since a
// member is down, or took the leadership.
func stranded(v sight) bool { return v.free() && v.any(yetToGo) && overdue(v) }

func yetToGo(p model.Progress) bool { return p.Step == model.Waiting }

// otherMayGo: a member goes only when all others are well. One that is down by
// its own fault is one that is out already.
func otherMayGo(v sight) bool { return otherWaits(v) && len(v.silent()) == 0 }

// silent are the members, beside this one and the next to go, that have not
// answered in this wait.
func (v sight) silent() (ids []string) {
	next := v.waiting()
	for _, p := range v.u.Members {
		if included(p) && p.ID != v.Me && (next == nil || p.ID != next.ID) && !v.Answered[p.ID] {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// already finds a waiting member that runs the target as it is.
func already(v sight) bool { return v.free() && v.alreadyThere() != nil }

func (v sight) alreadyThere() *model.Progress {
	for i, p := range v.u.Members {
		if p.Step == model.Waiting && v.runsTarget(p.ID) {
			return &v.u.Members[i]
		}
	}
	return nil
}

// next is whom grant gives the turn.
func (v sight) next() *model.Progress {
	if p := v.waiting(); p != nil {
		return p
	}
	return v.u.Member(v.Me)
}

// heir is the member to hand leadership to: a voter that is done, another one
// at each further try.
func (v sight) heir() string {
	var heirs []string
	for _, p := range v.u.Members {
		if finished(p) && p.ID != v.Me && slices.Contains(v.Voters, p.ID) {
			heirs = append(heirs, p.ID)
		}
	}
	if len(heirs) == 0 {
		return ""
	}
	return heirs[v.Tries%len(heirs)]
}
