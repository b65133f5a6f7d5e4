package upgrader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/store"
)

// What a member does for one that lags behind: it passes on the release that it
// runs, its own executable and the small part of the package that vouches for
// it, and has the turn claimed for who cannot write any more.

const (
	pathRelease = "/upgrade/release"
	pathBinary  = "/upgrade/binary"
	pathLate    = "/upgrade/late"
)

// proofFile keeps, in the data directory, what vouches for the image that runs.
const proofFile = "release.json"

// offer is the release that a member runs.
type offer struct {
	Upgrade  string        `json:"upgrade"`
	Version  string        `json:"version"`
	Platform string        `json:"platform"`
	Image    string        `json:"image"`
	Deadline time.Duration `json:"deadline"` // for a member's turn
	Proof    staging.Proof `json:"proof"`
}

// keepProof writes down what vouches for the running image while its package is
// here: the package goes when it is cleared away, and the image stays.
func (u *Upgrader) keepProof(ctx context.Context, p picture) error {
	if u.proven || p.upgrade == nil || p.upgrade.Archive.Images[u.Self.Platform] != u.Self.Image {
		return nil
	}
	kept, err := u.kept()
	if err != nil || kept.Image == u.Self.Image {
		u.proven = err == nil
		return err
	}
	pkg, err := u.pkg(ctx, p.upgrade.Archive)
	if errors.Is(err, store.ErrNotFound) {
		return nil // this member was brought here without it
	}
	if err != nil {
		return err
	}
	proof, err := pkg.Proof()
	if err != nil {
		return err
	}
	return u.keep(offer{Version: p.upgrade.Archive.Version, Platform: u.Self.Platform, Image: u.Self.Image, Proof: proof})
}

func (u *Upgrader) keep(o offer) error {
	raw, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return durable.WriteBytes(filepath.Join(u.DataDir, proofFile), 0o644, raw)
}

// kept is what was kept; nothing is the zero value.
func (u *Upgrader) kept() (o offer, err error) {
	raw, err := os.ReadFile(filepath.Join(u.DataDir, proofFile))
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &o)
	}
	if err != nil {
		return o, fmt.Errorf("read what vouches for the running release: %w", err)
	}
	return o, nil
}

// answerRelease offers what this member runs, if the cluster went there.
func (u *Upgrader) answerRelease(context.Context, json.RawMessage) (any, error) {
	p, err := u.look()
	if err != nil {
		return nil, err
	}
	o, err := u.kept()
	if err != nil {
		return nil, err
	}
	up := p.record()
	if up == nil || up.Phase != model.Finished || up.Archive.Images[u.Self.Platform] != u.Self.Image || o.Image != u.Self.Image {
		return nil, model.Problemf(model.NotFound, "%s runs no release that it could pass on now", u.Self.Name)
	}
	o.Upgrade, o.Deadline = up.ID, up.Options.Deadline
	return o, nil
}

// answerBinary sends the executable that this process runs, whatever lies at its
// path by now.
func (u *Upgrader) answerBinary(context.Context, json.RawMessage) (io.ReadCloser, int64, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, 0, fmt.Errorf("open the running executable: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// lateClaim is a member's wish to go, which it cannot write down for itself.
type lateClaim struct {
	Upgrade string `json:"upgrade"`
	Member  string `json:"member"`
	Boot    string `json:"boot"`
}

// lateTurn is the attempt that was claimed for it.
type lateTurn struct {
	Attempt int `json:"attempt"`
}

func tooOften(p *model.Progress) bool { return p != nil && p.Attempt-p.Before >= Attempts }

// answerLate claims the turn for a member whose store has stopped: it is out
// already. It may be asked again.
func (u *Upgrader) answerLate(ctx context.Context, in json.RawMessage) (any, error) {
	var c lateClaim
	if err := json.Unmarshal(in, &c); err != nil {
		return nil, model.Problemf(model.Malformed, "read who asks for its turn: %v", err)
	}
	p, err := u.look()
	if err != nil {
		return nil, err
	}
	name := p.members[c.Member].Name
	if up := p.record(); up != nil && up.ID == c.Upgrade && tooOften(up.Member(c.Member)) {
		return nil, model.Problemf(model.Conflict, "%s has tried %d times: replace its binary by hand", name, Attempts)
	}
	err = u.propose(ctx, store.OpUpgradeLate, store.UpgradeLate{ID: c.Upgrade, Member: c.Member, Boot: c.Boot,
		Note: fmt.Sprintf("%s: stopped at what its version cannot read; its turn is claimed through %s", name, u.Self.Name)})
	if errors.Is(err, store.ErrConflict) {
		return nil, model.Problemf(model.Conflict, "%s cannot go now: another member is out, or a newer upgrade is under way", name)
	}
	if err != nil {
		return nil, err
	}
	if p, err = u.look(); err != nil {
		return nil, err
	}
	if up := p.record(); up != nil && up.Turn != nil && up.Turn.Member == c.Member && up.Turn.Boot == c.Boot {
		return lateTurn{Attempt: up.Turn.Attempt}, nil
	}
	return nil, model.Problemf(model.Conflict, "the turn of %s is over", name)
}
