package upgrader

import (
	"fmt"
	"slices"
	"strings"

	"github.com/theseusd/theseus/model"
)

// Who is next: observers, then voters, each in the order of the plan, whoever
// leads last. A leader never claims; when it alone waits it hands over to a
// member that is through. Going back has the same order and the same care.

func finished(p model.Progress) bool { return p.Step == model.Done || p.Step == model.Skipped }

// yetToGo: it waits for a turn, in the direction that the phase has.
func (v sight) yetToGo(p model.Progress) bool {
	switch v.u.Phase {
	case model.Reverting:
		return p.Step == model.Returning
	case model.Failed:
		return v.Level > 0 && v.strayed(p)
	}
	return p.Step == model.Waiting
}

// strayed: its attempt failed, and it runs the new image all the same, or its
// way back was cut short (S5).
func (v sight) strayed(p model.Progress) bool {
	if v.u.Back == model.BackFailed || p.Image == "" || p.Attempt-p.Before >= 2*Attempts {
		return false
	}
	return p.Step == model.Returning || p.Step == model.Broken && v.Members[p.ID].Image == v.image(p.ID) && p.Image != v.image(p.ID)
}

// waiting is the first member, other than the one who leads, that has yet to go.
func (v sight) waiting() *model.Progress {
	var voter *model.Progress
	for i := range v.u.Members {
		p := &v.u.Members[i]
		switch {
		case !v.yetToGo(*p) || p.ID == v.Me:
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
	return p != nil && v.yetToGo(*p)
}

// free: a member may go now. Going back does not wait for a window.
func (v sight) free() bool {
	open := v.Open || v.u.Phase == model.Reverting || v.u.Phase == model.Failed
	return v.turn == nil && !called(v) && open
}

func otherWaits(v sight) bool { return v.free() && v.waiting() != nil }

func selfWaits(v sight) bool { return v.free() && v.waiting() == nil && v.selfWaiting() }

func aloneWaits(v sight) bool { return selfWaits(v) && len(v.Voters) == 1 }

// stranded: for as long as a turn may last nobody could be given one, since a
// member is down, or took the leadership, or nobody could be asked for a proof.
func stranded(v sight) bool { return v.free() && (v.any(v.yetToGo) || unproven(v)) && overdue(v) }

func strandedBack(v sight) bool {
	return v.u.Options.OnFailure == model.OnFailureRollback && stranded(v)
}

// otherMayGo: a member goes only when all others are well, hold the same records
// and can write without it. One that is down by its own fault is one that is out
// already.
func otherMayGo(v sight) bool {
	return otherWaits(v) && len(v.silent()) == 0 && len(v.Apart) == 0 && v.short() == ""
}

// silent are the members, beside this one and the next to go, that have not
// answered in this wait. One that goes back by itself after the end has to be up.
func (v sight) silent() (ids []string) {
	next := v.waiting()
	for _, p := range v.u.Members {
		spared := next != nil && p.ID == next.ID && v.u.Phase != model.Failed
		if included(p) && p.ID != v.Me && !spared && !v.Answered[p.ID] {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// short says, with the numbers, that too few voters would be left to write while
// the next member restarts; "" is enough. One voter or two can never do without
// one (S16), and an operator may accept it.
func (v sight) short() string {
	next := v.waiting()
	if next == nil || v.Level == 0 || slices.Contains(v.u.Options.Ignore, model.IgnoreQuorum) || !slices.Contains(v.Voters, next.ID) {
		return ""
	}
	var down []string
	for _, id := range v.Voters {
		if id != v.Me && id != next.ID && !v.Answered[id] {
			down = append(down, v.name(id))
		}
	}
	return shortOf(len(v.Voters), v.name(next.ID), down)
}

// shortOf is the sum of it: voters in all, and the names of those that are down.
func shortOf(voters int, next string, down []string) string {
	left, quorum := voters-1-len(down), voters/2+1
	if voters <= 2 || left >= quorum {
		return ""
	}
	return fmt.Sprintf("while %s restarts, %d of %d voters would be left, and a quorum is %d: %s down",
		next, left, voters, quorum, strings.Join(down, ", ")+map[bool]string{true: " is", false: " are"}[len(down) == 1])
}

// already finds a member that has yet to go and runs what it is to run.
func already(v sight) bool { return v.turn == nil && !called(v) && v.alreadyThere() != nil }

func (v sight) alreadyThere() *model.Progress {
	for i, p := range v.u.Members {
		if v.yetToGo(p) && v.atTarget(p.ID) {
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

// heir is the member to hand leadership to: a voter that is through, another one
// at each further try.
func (v sight) heir() string {
	return v.oneOf(func(p model.Progress) bool {
		switch v.u.Phase {
		case model.Reverting:
			return p.Step == model.Reverted
		case model.Failed:
			return !v.yetToGo(p)
		}
		return finished(p)
	})
}

// oneOf is a voter other than this member that fits, another one at each try.
func (v sight) oneOf(fits func(model.Progress) bool) string {
	var heirs []string
	for _, p := range v.u.Members {
		if fits(p) && p.ID != v.Me && slices.Contains(v.Voters, p.ID) {
			heirs = append(heirs, p.ID)
		}
	}
	if len(heirs) == 0 {
		return ""
	}
	return heirs[v.Tries%len(heirs)]
}
