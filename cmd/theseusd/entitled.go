package main

import (
	"context"

	"github.com/theseusd/theseus/cluster"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/policy"
)

// entitle refuses to serve records that this version must not: somebody put
// another binary here. One that ran here before, or that an attempt under way
// brought, may go on whatever the cluster's version is by now: a member that was
// left behind catches up from where it is.
func (d *daemon) entitle(context.Context) error {
	id, err := cluster.LoadIdentity(d.DataDir)
	if err != nil {
		return err
	}
	var r store.Recorded
	err = d.store.View(func(v *store.View) (err error) {
		r, err = v.Recorded(id.ID)
		return err
	})
	if err != nil || r.Image == d.own.Image {
		return err
	}
	a, open, err := d.own.Attempt()
	if err != nil || open && a.NewImage == d.own.Image {
		return err
	}
	if r.Level > store.Level {
		return model.Problemf(model.Refused, "the state is newer than this binary: the cluster is at protocol level %d, and %s, a build of %s, reads up to %d: put the theseusd there that the other members run, and start it again",
			r.Level, d.own.Path, version, store.Level)
	}
	return entitled(r.Cluster, version, d.own.Path)
}

// entitled judges a binary that came here outside of an upgrade.
func entitled(recorded, version, path string) error {
	if recorded == "" || recorded == version {
		return nil
	}
	v := policy.Decide(recorded, version, policy.Options{Force: true}) // another build of the same version is fine
	if v.Allowed {
		return nil
	}
	if v.Rule == policy.Downgrade {
		return model.Problemf(model.Refused, "the state is newer than this binary: the cluster is at version %s, and %s is %s: put theseusd %s there and start it again",
			recorded, path, version, recorded)
	}
	return model.Problemf(model.Refused, "this binary may not follow the state: %s: put theseusd %s back at %s, and let `theseus system upgrade` take the cluster on from there",
		v.Reason, recorded, path)
}

// mayJoin judges a joiner that is ahead of the cluster: the rules know how far
// ahead a member may be.
func mayJoin(recorded, version string) error {
	v := policy.Decide(recorded, version, policy.Options{Force: true})
	if v.Allowed {
		return nil
	}
	return model.Problemf(model.Refused, "%s: start it with theseusd %s, and let `theseus system upgrade` take it on with the others", v.Reason, recorded)
}
