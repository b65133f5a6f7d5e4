package upgrader

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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

// Upload is an archive, or a part of one, that came in on this member.
type Upload struct {
	Body    io.Reader
	By      string
	Digest  string   // SHA-256 of the whole archive in lower-case hex, as the client says; "": it can't be resumed
	Total   int64    // bytes of the whole archive; 0: not known
	Part    *Part    // nil: the body is the whole archive
	Exclude []string // members not to wait for, by name or id
}

// Part is which bytes of an archive a body holds: from From to before Until. A
// From of NoBytes is a body of none, for an upload whose bytes are all here.
type Part struct{ From, Until int64 }

// NoBytes is the From of a part without bytes.
const NoBytes = -1

// Outcome says what an upload came to.
type Outcome int

const (
	AlreadyStaged Outcome = iota // the same archive was there
	NewlyStaged                  // every member has attested its own copy
	PartTaken                    // more parts are to come
)

// Stage takes an upload that came in on this member: it spools it, verifies it
// before the cluster sees a byte, and brings it onto every member. It returns
// when every member has attested its own copy, or, of a part that is not the
// last, when it is on disk. Once the whole is read it goes on without the
// client: the same archive, sent again, attaches to it.
func (u *Upgrader) Stage(ctx context.Context, in Upload) (model.BlobInfo, Outcome, error) {
	exclude, err := u.leaveOut(in.Exclude)
	if err != nil {
		return model.BlobInfo{}, 0, err
	}
	if in.Digest != "" {
		return u.stageNamed(ctx, in, exclude)
	}
	spool, err := u.Store.Spool()
	if err != nil {
		return model.BlobInfo{}, 0, fmt.Errorf("stage: %w", err)
	}
	defer spool.Drop()
	if err := u.receive(spool, in.Body); err != nil {
		return model.BlobInfo{}, 0, err
	}
	digest, size, err := spool.Finish()
	if err != nil {
		return model.BlobInfo{}, 0, err
	}
	return u.spread(ctx, spool, model.Archive{Digest: digest, Size: size}, in.By, exclude)
}

// spread verifies what is in a spool and brings it onto every member.
func (u *Upgrader) spread(ctx context.Context, spool *store.Spool, a model.Archive, by string, exclude []string) (model.BlobInfo, Outcome, error) {
	ctx = context.WithoutCancel(ctx)
	info := model.BlobInfo{Path: "sha256:" + a.Digest, Size: a.Size}
	if there, err := u.attach(ctx, a.Digest); there || err != nil {
		return info, AlreadyStaged, err
	}
	a, err := u.admit(ctx, spool, a, exclude)
	if err != nil {
		return info, 0, err
	}
	u.Log.Info("verified an upload", "digest", a.Digest, "size", a.Size)
	u.hold(a.Digest, true)
	defer u.hold(a.Digest, false)
	if err := spool.Keep(); err != nil {
		return info, 0, fmt.Errorf("stage: keep the upload: %w", err)
	}
	return info, NewlyStaged, u.distribute(ctx, a, by, exclude)
}

// leaveOut finds the ids of the members that the operator does not wait for.
func (u *Upgrader) leaveOut(named []string) (ids []string, err error) {
	if len(named) == 0 {
		return nil, nil
	}
	p, err := u.look()
	if err != nil {
		return nil, err
	}
	for _, name := range named {
		m, known := p.named(name)
		if !known {
			return nil, model.Problemf(model.Refused, "exclude: there is no member %q; `theseus system ha peers` names all", name)
		}
		ids = append(ids, m.ID)
	}
	if len(without(p.members, ids)) == 0 {
		return nil, model.Problemf(model.Refused, "exclude: nobody would be left to upgrade")
	}
	return ids, nil
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

// receive spools a body that holds a whole archive; one byte over the limit and
// it is refused.
func (u *Upgrader) receive(spool *store.Spool, body io.Reader) error {
	n, err := io.Copy(spool, io.LimitReader(body, u.Limits.Size+1))
	if err != nil {
		return cut(n, err)
	}
	if n > u.Limits.Size {
		return tooLarge(u.Limits.Size)
	}
	return nil
}

func tooLarge(limit int64) error {
	return model.Problemf(model.TooLarge, "the archive is larger than %d bytes, the limit", limit)
}

// cut puts in words that a body ended too soon, unless whoever cut it did.
func cut(n int64, err error) error {
	var p *model.Problem
	if errors.As(err, &p) {
		return p
	}
	return model.Problemf(model.Malformed, "receive the archive: it ended after %d bytes: %v", n, err)
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
func (u *Upgrader) distribute(ctx context.Context, a model.Archive, by string, exclude []string) error {
	ctx, cancel := context.WithTimeout(ctx, stageLimit(a.Size))
	defer cancel()
	cmd := store.New(store.OpStageAnnounce, nil)
	s := model.Staging{ID: cmd.ID, Archive: a, Receiver: u.Self.ID, Uploader: by, Started: stamp(), Exclude: exclude}
	if err := u.propose(ctx, store.OpStageAnnounce, store.StageAnnounce{Staging: s}); err != nil {
		if errors.Is(err, store.ErrConflict) {
			return model.Problemf(model.Conflict, "another upload was faster, or a member that was away is catching up right now: see `theseus system upgrade status`, and try again")
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
