package upgrader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// An upload that says its digest can be cut anywhere and gone on with through
// any member: what has come stays, and a member that has less fetches the rest
// from the one that has most. No byte is trusted for where it came from: the
// whole is hashed before the cluster hears of it.

// Gap refuses a part that does not begin where the upload ends.
type Gap struct {
	From int64 // where the part begins
	Size int64 // how much has come
}

func (g *Gap) Error() string {
	return fmt.Sprintf("Content-Range: the part begins at byte %d, and %d bytes have come: go on from byte %d", g.From, g.Size, g.Size)
}

// stageNamed is Stage for an upload that says its digest.
func (u *Upgrader) stageNamed(ctx context.Context, in Upload, exclude []string) (info model.BlobInfo, came Outcome, err error) {
	info.Path = "sha256:" + in.Digest
	if size, there, err := u.already(ctx, in.Digest); there || err != nil {
		info.Size = size
		return info, AlreadyStaged, err
	}
	spool, err := u.reach(ctx, in)
	if err != nil {
		return info, 0, err
	}
	defer spool.Drop()
	if err := u.takeIn(spool, in); err != nil {
		return info, 0, errors.Join(err, putAside(spool))
	}
	if info.Size = spool.Size(); in.Part != nil && info.Size < in.Total {
		return info, PartTaken, putAside(spool)
	}
	digest, size, err := spool.Finish()
	if err != nil {
		return info, 0, err
	}
	if digest != in.Digest {
		u.forget(context.WithoutCancel(ctx), in.Digest)
		return info, 0, model.Problemf(model.Refused,
			"what came is %d bytes of sha256:%s, not sha256:%s: all of it was dropped; send it again from the beginning", size, digest, in.Digest)
	}
	return u.spread(ctx, spool, model.Archive{Digest: digest, Size: size}, in.By, exclude)
}

// already says whether the archive is staged, before a byte of it is read; while
// it is on its way that is waited for. One whose staging comes to nothing is
// taken in again.
func (u *Upgrader) already(ctx context.Context, digest string) (size int64, there bool, err error) {
	p, err := u.look()
	if err != nil {
		return 0, false, err
	}
	if s := p.staging; s != nil && s.Archive.Digest == digest {
		if err := u.await(ctx, s.ID); model.KindOf(err) != model.Conflict {
			return s.Archive.Size, true, err
		}
	}
	if there, err = u.attach(ctx, digest); !there || err != nil {
		return 0, there, err
	}
	if p, err = u.look(); err == nil && p.upgrade != nil {
		size = p.upgrade.Archive.Size
	}
	return size, true, err
}

// reach opens the spool of an upload at the byte where its body begins.
func (u *Upgrader) reach(ctx context.Context, in Upload) (*store.Spool, error) {
	if err := u.fits(in); err != nil {
		return nil, err
	}
	if in.Part == nil { // from the beginning, whatever had come
		if err := u.Store.DropPartial(in.Digest); err != nil {
			return nil, busy(in.Digest, err)
		}
	}
	if err := u.makeRoomFor(in.Digest); err != nil {
		return nil, err
	}
	spool, err := u.Store.Resume(in.Digest, in.Total)
	if err != nil {
		return nil, busy(in.Digest, err)
	}
	if in.Part != nil {
		if err := u.catch(ctx, spool, in); err != nil {
			return nil, errors.Join(err, putAside(spool))
		}
	}
	return spool, nil
}

// fits refuses what is too large for the limit, for this disk, or other than
// what was said when the upload began.
func (u *Upgrader) fits(in Upload) error {
	if in.Total > u.Limits.Size {
		return tooLarge(u.Limits.Size)
	}
	have, err := u.Store.Partial(in.Digest)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if in.Part != nil && have.Total > 0 && have.Total != in.Total {
		return model.Problemf(model.Malformed, "Content-Range: the archive has %d bytes in all, it says now; %d, it said when the upload began", in.Total, have.Total)
	}
	if lack := in.Total - have.Size; lack > 0 {
		if reasons := u.room(lack); len(reasons) > 0 {
			return &model.Problem{Kind: model.Refused, Messages: []string{u.Self.Name + ": " + reasons[0]}}
		}
	}
	return nil
}

// busy says that somebody else adds to the upload here.
func busy(digest string, err error) error {
	if errors.Is(err, store.ErrBusy) {
		return model.Problemf(model.Conflict, "this archive is being uploaded through this member now: wait until that ends, and ask how far it came").About("uploads", digest)
	}
	return err
}

// putAside keeps what has come, if anything has.
func putAside(spool *store.Spool) error {
	if spool.Size() == 0 {
		return spool.Drop()
	}
	return spool.Suspend()
}

// catch brings a spool to where the body begins, with bytes that another member has.
func (u *Upgrader) catch(ctx context.Context, spool *store.Spool, in Upload) error {
	size, from := spool.Size(), in.Part.From
	if from > size || from == NoBytes && size < in.Total {
		if err := u.fetchMissing(ctx, spool, in); err != nil {
			return err
		}
		size = spool.Size()
	}
	if from != NoBytes && from != size {
		return &Gap{From: from, Size: size}
	}
	return nil
}

// fetchLimit is how long the bytes that another member has may take: 1 MiB a second.
func fetchLimit(size int64) time.Duration { return askLimit + time.Duration(size>>20)*time.Second }

// fetchMissing adds to a spool what the member that has most of the upload has beyond it.
func (u *Upgrader) fetchMissing(ctx context.Context, spool *store.Spool, in Upload) error {
	most, err := u.mostOf(ctx, in.Digest)
	if err != nil {
		return err
	}
	size, until := spool.Size(), in.Part.From
	if until == NoBytes {
		until = min(most.Size, in.Total)
	}
	if most.Size < until || until <= size {
		return &Gap{From: in.Part.From, Size: max(size, most.Size)}
	}
	ctx, cancel := context.WithTimeout(ctx, fetchLimit(until-size))
	defer cancel()
	body, n, err := u.Cluster.Fetch(ctx, most.member, pathPart, partQuestion{Digest: in.Digest, From: size, Until: until})
	if err == nil {
		defer body.Close()
		_, err = io.CopyN(spool, body, n)
	}
	if err != nil {
		return model.Problemf(model.Unavailable, "fetch bytes %d to %d of the upload from %s, which has them: %v: ask how far it came, and go on from there", size, until, most.name, err)
	}
	u.Log.Info("fetched what another member has of an upload", "digest", in.Digest, "from", most.name, "bytes", n)
	return nil
}

// takeIn spools the body.
func (u *Upgrader) takeIn(spool *store.Spool, in Upload) error {
	if in.Part == nil {
		return u.receive(spool, in.Body)
	}
	if in.Part.From == NoBytes {
		return nil
	}
	n, err := io.CopyN(spool, in.Body, in.Part.Until-in.Part.From)
	if err != nil {
		return cut(n, err)
	}
	if n, _ := io.CopyN(io.Discard, in.Body, 1); n > 0 {
		return model.Problemf(model.Malformed, "Content-Range: the body is longer than it says")
	}
	return nil
}
