package upgrader

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// matchCLI makes the CLI beside this daemon be that of the release which the
// daemon runs, or what it was before if the daemon went back. What goes wrong is
// an issue and is tried again, never an end of the upgrade: it answers nil.
func (u *Upgrader) matchCLI(ctx context.Context, p picture) error {
	cli := u.Own.CLI
	if cli == nil || !cli.Due() {
		return nil
	}
	err := u.fitCLI(ctx, p)
	if err == nil && p.upgrade == nil {
		err = cli.Forget() // what is cleared away is not gone back from
	}
	if cli.Settle(err) {
		u.Log.Warn("the CLI is not of this release", "error", err)
	}
	return nil
}

func (u *Upgrader) fitCLI(ctx context.Context, p picture) error {
	up := p.record()
	if up == nil || up.Turn != nil && up.Turn.Member == u.Self.ID {
		return nil // its turn may end in the old image still
	}
	image, brought := up.Archive.CLIs[u.Self.Platform]
	switch {
	case !brought:
		return nil
	case up.Archive.Images[u.Self.Platform] != u.Self.Image:
		return u.Own.CLI.PutBack(up.ID)
	}
	return u.Own.CLI.Replace(ctx, image, up.ID, func() (io.ReadCloser, error) { return u.openCLI(ctx, up.Archive) })
}

func (u *Upgrader) openCLI(ctx context.Context, a model.Archive) (io.ReadCloser, error) {
	pkg, err := u.pkg(ctx, a)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("the archive of %s is not here any more: put its bin/%s/theseus there by hand", a.Version, u.Self.Platform)
	}
	if err != nil {
		return nil, err
	}
	cli, _, err := pkg.CLI(u.Self.Platform)
	return cli, err
}
