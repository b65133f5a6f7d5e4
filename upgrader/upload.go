package upgrader

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

const (
	chunksInFlight = 8 // of 512 KiB: 4 MiB; more is no faster, and everybody else's writes queue behind it
	answerLimit    = 10 * time.Second
	attestLimit    = 5 * time.Minute
	renewEvery     = leaseLimit / 6
)

// Stage takes an upload that came in on this member: it spools it, verifies it
// before the cluster sees a byte, and brings it onto every member. It returns
// when every member has attested its own copy; created is false when the same
// archive was there already. Once the body is read it goes on without the
// client: the same archive, sent again, attaches to it.
func (u *Upgrader) Stage(ctx context.Context, body io.Reader, by string) (info model.BlobInfo, created bool, err error) {
	spool, err := u.Store.Spool()
	if err != nil {
		return info, false, fmt.Errorf("stage: %w", err)
	}
	defer spool.Drop()
	digest, size, err := u.receive(spool, body)
	if err != nil {
		return info, false, err
	}
	ctx = context.WithoutCancel(ctx)
	info = model.BlobInfo{Path: "sha256:" + digest, Size: size}
	if there, err := u.attach(ctx, digest); there || err != nil {
		return info, false, err
	}
	a, err := u.admit(ctx, spool, model.Archive{Digest: digest, Size: size})
	if err != nil {
		return info, false, err
	}
	u.Log.Info("verified an upload", "digest", a.Digest, "size", a.Size)
	u.hold(a.Digest, true)
	defer u.hold(a.Digest, false)
	if err := spool.Keep(); err != nil {
		return info, false, fmt.Errorf("stage: keep the upload: %w", err)
	}
	return info, true, u.distribute(ctx, a, by)
}

func (u *Upgrader) hold(digest string, on bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if on {
		u.held[digest] = true
	} else {
		delete(u.held, digest)
	}
}

// receive spools the body; one byte over the limit and it is refused.
func (u *Upgrader) receive(spool *store.Spool, body io.Reader) (digest string, size int64, err error) {
	n, err := io.Copy(spool, io.LimitReader(body, u.Limits.Size+1))
	var p *model.Problem
	if errors.As(err, &p) {
		return "", 0, p
	}
	if err != nil {
		return "", 0, model.Problemf(model.Malformed, "receive the archive: it ended after %d bytes: %v", n, err)
	}
	if n > u.Limits.Size {
		return "", 0, model.Problemf(model.TooLarge, "the archive is larger than %d bytes, the limit", u.Limits.Size)
	}
	return spool.Finish()
}

// attach finds out whether this archive is staged or on its way already, and in
// the latter case waits for what becomes of it. Another archive in the way is
// a conflict.
func (u *Upgrader) attach(ctx context.Context, digest string) (there bool, err error) {
	p, err := u.look()
	if err != nil {
		return false, err
	}
	switch up, s := p.upgrade, p.staging; {
	case s != nil && s.Archive.Digest == digest:
		return true, u.await(ctx, s.ID)
	case s != nil:
		return false, model.Problemf(model.Conflict,
			"another archive (%s, sha256:%s) is being staged by %s through %s since %s: wait for it, or clear it with `theseus system upgrade unstage`",
			s.Archive.Version, s.Archive.Digest, s.Uploader, p.members[s.Receiver].Name, s.Started)
	case up == nil:
		return false, nil
	case up.Archive.Digest == digest:
		return true, nil
	case up.Phase != model.Finished:
		return false, model.Problemf(model.Conflict,
			"an upgrade to %s is %s: clear it first with `theseus system upgrade unstage` (DELETE /api/v3/system/upgrade/stage)",
			up.Archive.Version, up.Phase.Status())
	}
	return false, nil
}

// distribute announces, sends, seals and waits; a staging that comes to nothing
// is dropped on every member.
func (u *Upgrader) distribute(ctx context.Context, a model.Archive, by string) error {
	ctx, cancel := context.WithTimeout(ctx, stageLimit(a.Size))
	defer cancel()
	cmd := store.New(store.OpStageAnnounce, nil)
	s := model.Staging{ID: cmd.ID, Archive: a, Receiver: u.Self.ID, Uploader: by, Started: stamp()}
	if err := u.propose(ctx, store.OpStageAnnounce, store.StageAnnounce{Staging: s}); err != nil {
		if errors.Is(err, store.ErrConflict) {
			return model.Problemf(model.Conflict, "another upload was faster: see `theseus system upgrade status`")
		}
		return err
	}
	stop := u.renew(ctx, s.ID)
	defer stop()
	err := u.bring(ctx, s)
	if err != nil {
		u.drop(context.WithoutCancel(ctx), s.ID)
	}
	return err
}

// stageLimit is the longest a staging may take: attesting, and 1 MiB a second.
func stageLimit(size int64) time.Duration {
	return attestLimit + time.Duration(size>>20)*time.Second
}

func (u *Upgrader) bring(ctx context.Context, s model.Staging) error {
	if err := u.awaitVotes(ctx, s.ID, answerLimit, "make room for the archive",
		func(s *model.Staging) map[string]model.Vote { return s.Answers }); err != nil {
		return err
	}
	if err := u.send(ctx, s.Archive); err != nil {
		return err
	}
	if err := u.propose(ctx, store.OpStageSeal, store.StageRef{ID: s.ID}); err != nil {
		return err
	}
	if err := u.awaitVotes(ctx, s.ID, attestLimit, "verify its own copy",
		func(s *model.Staging) map[string]model.Vote { return s.Attests }); err != nil {
		return err
	}
	return u.await(ctx, s.ID)
}

// send proposes the chunks, some at a time; who leads may change underneath.
func (u *Upgrader) send(ctx context.Context, a model.Archive) error {
	archive, err := u.Store.Archive(a.Digest)
	if err != nil {
		return fmt.Errorf("send the archive: %w", err)
	}
	var digest [32]byte
	if _, err := hex.Decode(digest[:], []byte(a.Digest)); err != nil {
		return fmt.Errorf("send the archive: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(chunksInFlight)
	for off := int64(0); off < a.Size && ctx.Err() == nil; off += store.ChunkSize {
		g.Go(func() error {
			payload := make([]byte, min(store.ChunkSize, a.Size-off))
			if _, err := archive.ReadAt(payload, off); err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("send the archive: %w", err)
			}
			return u.Cluster.ProposeChunk(ctx, store.Chunk{Digest: digest, Number: uint32(off / store.ChunkSize), Payload: payload})
		})
	}
	return g.Wait()
}

// renew keeps the lease of a staging until stop is called.
func (u *Upgrader) renew(ctx context.Context, id string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.Tick(renewEvery); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick:
				if err := u.propose(ctx, store.OpStageRenew, store.StageRef{ID: id}); err != nil && ctx.Err() == nil {
					u.Log.Warn("renew the lease of a staging", "error", err)
				}
			}
		}
	}()
	return func() { cancel(); <-done }
}

func (u *Upgrader) drop(ctx context.Context, id string) {
	err := u.propose(ctx, store.OpStageDrop, store.StageRef{ID: id})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		u.Log.Warn("drop a staging; its lease will", "error", err)
	}
}

// awaitVotes waits until every member voted yes; the first no ends it, once all
// who can have voted, with every reason.
func (u *Upgrader) awaitVotes(ctx context.Context, id string, limit time.Duration, what string, of func(*model.Staging) map[string]model.Vote) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		changed := u.Store.Changed()
		p, err := u.look()
		if err != nil {
			return err
		}
		if p.staging == nil || p.staging.ID != id {
			return u.outcome(p, id)
		}
		votes := of(p.staging)
		late := silent(votes, p.members)
		if len(late) == 0 {
			return verdict(refusals(votes, p.members))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			reasons := refusals(votes, p.members)
			for _, name := range late {
				reasons = append(reasons, fmt.Sprintf("%s: did not %s within %s: is it up? start it, or remove it with `theseus system ha remove %s`", name, what, limit, name))
			}
			return verdict(reasons)
		}
	}
}

func verdict(reasons []string) error {
	if len(reasons) == 0 {
		return nil
	}
	return &model.Problem{Kind: model.Refused, Messages: reasons}
}

// await waits until the staging is over and answers what became of it.
func (u *Upgrader) await(ctx context.Context, id string) error {
	for {
		changed := u.Store.Changed()
		p, err := u.look()
		if err != nil {
			return err
		}
		if p.staging == nil || p.staging.ID != id {
			return u.outcome(p, id)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return model.Problemf(model.Unavailable, "the archive was not staged in time; still waiting for: %s",
				strings.Join(silent(p.staging.Attests, p.members), ", "))
		}
	}
}

func (u *Upgrader) outcome(p picture, id string) error {
	if p.upgrade != nil && p.upgrade.ID == id {
		return nil
	}
	return model.Problemf(model.Conflict, "the staging was dropped: its uploader was refused, or it was cleared away")
}
