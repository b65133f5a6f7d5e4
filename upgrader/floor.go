package upgrader

import (
	"slices"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/policy"
)

// The floor is the version that has led (S8). Once the new version has led, an
// older leader's only act is to hand over to a member that is through; while all
// go back it is the other way round. If nobody takes over in a few tries, it
// leads all the same: under the old gate it writes what everybody reads.

// misplaced: this member leads on the wrong side of the floor, and one on the
// right side may take over.
func misplaced(v sight) bool {
	return v.wrongSide(v.Version) && v.Tries < Attempts && v.better() != ""
}

// wrongSide says whether a member of a version should not lead.
func (v sight) wrongSide(version string) bool {
	if v.Floor == "" || v.Level == 0 {
		return false
	}
	if v.turned() {
		return policy.Older(v.Floor, version)
	}
	return policy.Older(version, v.Floor)
}

// turned: going back, the older version is the one that is to lead.
func (v sight) turned() bool { return v.u != nil && v.u.Phase == model.Reverting }

// better is a voter on the right side of the floor that is through.
func (v sight) better() string {
	return v.oneOf(func(p model.Progress) bool {
		through := finished(p)
		if v.turned() {
			through = p.Step == model.Reverted
		}
		return through && !v.wrongSide(v.Members[p.ID].Version)
	})
}

// aboveFloor: this member leads, and with it a version that has not led before.
func aboveFloor(v sight) bool {
	if v.Level == 0 || v.Version == v.Floor {
		return false
	}
	if v.turned() {
		return v.Floor != "" && policy.Older(v.Version, v.Floor)
	}
	return policy.Older(v.Gate, v.Version) && (v.Floor == "" || policy.Older(v.Floor, v.Version))
}

func moveFloor(v sight) Action {
	return Action{Op: store.OpClusterFloor, Body: store.ClusterFloor{Before: v.Floor, Version: v.Version}}
}

// shelter is whom a leader below the floor hands over to when the upgrade was
// cleared away in the middle: any voter that is not below it.
func (s Seen) shelter() string {
	if !s.Leading || s.Level == 0 || s.Floor == "" || !policy.Older(s.Version, s.Floor) || s.Tries >= Attempts {
		return ""
	}
	var heirs []string
	for _, id := range s.Voters {
		if m := s.Members[id]; id != s.Me && m.Version != "" && !policy.Older(m.Version, s.Floor) {
			heirs = append(heirs, id)
		}
	}
	if len(heirs) == 0 {
		return ""
	}
	slices.Sort(heirs)
	return heirs[s.Tries%len(heirs)]
}
