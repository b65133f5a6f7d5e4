package upgrader

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// What members tell each other of uploads that were cut.
const (
	pathPartial = "/upgrade/partial"
	pathPart    = "/upgrade/part"
)

const (
	partialsKept = 2              // on one member
	partialLife  = 24 * time.Hour // since bytes came last
)

// Received says how much has come of an upload, at the member that has most.
type Received struct {
	Path  string
	Size  int64 // bytes, from the beginning
	Total int64 // 0: not known
}

// Received finds out how far the upload of a digest has come anywhere in the
// cluster; NotFound when nobody has any of it. One that is staged has come whole.
func (u *Upgrader) Received(ctx context.Context, digest string) (Received, error) {
	r := Received{Path: "sha256:" + digest}
	p, err := u.look()
	if err != nil {
		return r, err
	}
	for _, a := range archivesOf(p) {
		if a.Digest == digest {
			r.Size, r.Total = a.Size, a.Size
			return r, nil
		}
	}
	most, err := u.mostOf(ctx, digest)
	if err == nil && most.Size == 0 {
		err = model.Problemf(model.NotFound, "no member has any of the upload sha256:%s", digest).About("uploads", digest)
	}
	r.Size, r.Total = most.Size, most.Total
	return r, err
}

// archivesOf are those that the record speaks of.
func archivesOf(p picture) (all []model.Archive) {
	if p.staging != nil {
		all = append(all, p.staging.Archive)
	}
	if p.upgrade != nil {
		all = append(all, p.upgrade.Archive)
	}
	return all
}

// partialQuestion asks a member how much it has of an upload, or has it dropped.
type partialQuestion struct {
	Digest string `json:"digest"`
	Drop   bool   `json:"drop,omitempty"`
}

type partialAnswer struct {
	Size  int64 `json:"size"`
	Total int64 `json:"total"`
}

func (u *Upgrader) answerPartial(_ context.Context, in json.RawMessage) (any, error) {
	var q partialQuestion
	if err := json.Unmarshal(in, &q); err != nil {
		return nil, model.Problemf(model.Malformed, "read the question: %v", err)
	}
	if q.Drop {
		if err := u.Store.DropPartial(q.Digest); err != nil && !errors.Is(err, store.ErrBusy) {
			return nil, err
		}
		return partialAnswer{}, nil
	}
	p, err := u.Store.Partial(q.Digest)
	if errors.Is(err, store.ErrNotFound) {
		return partialAnswer{}, nil
	}
	return partialAnswer{Size: p.Size, Total: p.Total}, err
}

// partQuestion asks for bytes of an upload, From up to and without Until.
type partQuestion struct {
	Digest string `json:"digest"`
	From   int64  `json:"from"`
	Until  int64  `json:"until"`
}

func (u *Upgrader) answerPart(_ context.Context, in json.RawMessage) (io.ReadCloser, int64, error) {
	var q partQuestion
	if err := json.Unmarshal(in, &q); err != nil {
		return nil, 0, model.Problemf(model.Malformed, "read the question: %v", err)
	}
	p, err := u.Store.Partial(q.Digest)
	if err != nil {
		return nil, 0, err
	}
	if q.From < 0 || q.Until < q.From || q.Until > p.Size {
		return nil, 0, model.Problemf(model.NotFound, "%s has %d bytes of the upload, not %d to %d", u.Self.Name, p.Size, q.From, q.Until)
	}
	size := q.Until - q.From
	part := io.NewSectionReader(partialReader{u.Store, q.Digest}, q.From, size)
	return io.NopCloser(onlyReader{part}), size, nil
}

// partialReader reads what has come of an upload.
type partialReader struct {
	store  *store.Store
	digest string
}

func (r partialReader) ReadAt(b []byte, off int64) (int, error) {
	return r.store.ReadPartial(r.digest, b, off)
}

// holding is a member and how much it has of an upload.
type holding struct {
	partialAnswer
	member, name string
}

// mostOf asks all members how much they have, and answers who has most. One
// that does not answer has nothing.
func (u *Upgrader) mostOf(ctx context.Context, digest string) (most holding, err error) {
	p, err := u.look()
	if err != nil {
		return most, err
	}
	var mu sync.Mutex // held for most
	u.everyone(ctx, p, func(ctx context.Context, m model.Member) []string {
		var a partialAnswer
		if err := u.Cluster.Call(ctx, m.ID, pathPartial, partialQuestion{Digest: digest}, &a); err != nil {
			u.Log.Debug("ask how far an upload has come", "member", m.Name, "error", err)
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if a.Size > most.Size || a.Size == most.Size && m.ID == u.Self.ID {
			most = holding{a, m.ID, m.Name}
		}
		return nil
	})
	return most, nil
}

// forget has every member that answers drop what it has of an upload whose bytes
// turned out not to be what they were said to be.
func (u *Upgrader) forget(ctx context.Context, digest string) {
	p, err := u.look()
	if err != nil {
		u.Log.Warn("have an upload dropped", "error", err)
		return
	}
	u.everyone(ctx, p, func(ctx context.Context, m model.Member) []string {
		if err := u.Cluster.Call(ctx, m.ID, pathPartial, partialQuestion{Digest: digest, Drop: true}, &partialAnswer{}); err != nil {
			u.Log.Warn("have an upload dropped", "member", m.Name, "error", err)
		}
		return nil
	})
}

// makeRoomFor drops the oldest uploads, so that no more than partialsKept are
// here with this one.
func (u *Upgrader) makeRoomFor(digest string) error {
	all, err := u.Store.Partials()
	if err != nil {
		return err
	}
	var others []string
	for _, p := range all {
		if p.Digest != digest {
			others = append(others, p.Digest)
		}
	}
	for _, oldest := range others[:max(0, len(others)-partialsKept+1)] {
		if err := u.dropPartial(oldest, "a newer one came"); err != nil {
			return err
		}
	}
	return nil
}

// sweepPartials drops the uploads that nobody goes on with: staged by now, or
// without a byte for a day.
func (u *Upgrader) sweepPartials(_ context.Context, p picture) error {
	all, err := u.Store.Partials()
	if err != nil {
		return err
	}
	for _, one := range all {
		why := ""
		if p.upgrade != nil && p.upgrade.Archive.Digest == one.Digest {
			why = "it is staged"
		}
		if time.Since(one.Touched) > partialLife {
			why = "nothing came for a day"
		}
		if why == "" {
			continue
		}
		if err := u.dropPartial(one.Digest, why); err != nil {
			return err
		}
	}
	return nil
}

func (u *Upgrader) dropPartial(digest, why string) error {
	err := u.Store.DropPartial(digest)
	if errors.Is(err, store.ErrBusy) {
		return nil
	}
	if err == nil {
		u.Log.Info("dropped an upload that was cut", "digest", digest, "why", why)
	}
	return err
}
