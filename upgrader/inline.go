package upgrader

import (
	"context"

	"github.com/theseusd/theseus/model"
)

// Inline is Digital Rebar's single step: stage the upload and start it, with the
// options that a run has by default. It is for a cluster of one, and refuses
// anything larger before it reads the body. When it returns nothing has
// restarted, and nothing will while its request is in flight.
func (u *Upgrader) Inline(ctx context.Context, in Upload) (info model.BlobInfo, came Outcome, err error) {
	p, err := u.look()
	if err != nil {
		return info, 0, err
	}
	if n := len(p.members); n != 1 {
		return info, 0, model.Problemf(model.Conflict, "this cluster has %d members, and upgrades them one after the other: "+
			"use `theseus system upgrade FILE`, or POST the archive to /api/v3/system/upgrade/stage and then POST /api/v3/system/upgrade/run", n)
	}
	if info, came, err = u.Stage(ctx, in); err != nil {
		return info, came, err
	}
	return info, came, u.Start(context.WithoutCancel(ctx), nil, in.By)
}
