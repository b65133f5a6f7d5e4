package catalog

import (
	"context"
	"io"
	"os"
	"slices"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
)

const (
	tries = 4               // in a row without a byte more than ever before
	pause = 2 * time.Second // between two of them
)

// Download puts the package of item at path, whole and verified, or leaves what is
// there as it is. What has come when it breaks off stays beside path, and
// the next Download of the same item goes on from there. Watch is told how many
// bytes are there whenever some have come; it may be nil.
func (c *Catalog) Download(ctx context.Context, item Item, path string, watch func(have int64)) (staging.Facts, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return staging.Facts{}, model.Problemf(model.Malformed, "download %s: %s is there and is no file: name a file", item.Reference(), path)
	}
	p, err := openPartial(path, item)
	if err != nil {
		return staging.Facts{}, while(err, "download %s to %s", item.Reference(), path)
	}
	defer p.close()
	p.watch = watch
	facts, err := c.complete(ctx, item, p)
	if err == nil {
		err = p.become(path)
	}
	if err != nil {
		return staging.Facts{}, while(err, "download %s from %s to %s", item.Reference(), c.source, path)
	}
	return facts, nil
}

// complete fetches what p lacks and verifies the whole. What an earlier run left
// may have been damaged since: it gets one chance.
func (c *Catalog) complete(ctx context.Context, item Item, p *partial) (staging.Facts, error) {
	old := p.have > 0
	err := c.fetch(ctx, item, p)
	if err == nil && old && p.digest() != item.SHA256 {
		if err = p.restart(""); err == nil {
			err = c.fetch(ctx, item, p)
		}
	}
	if err != nil {
		return staging.Facts{}, err
	}
	if got := p.digest(); got != item.SHA256 {
		return staging.Facts{}, p.condemn("%s has the sha256 %s, %s says %s: one of them was changed or damaged; ask who keeps the catalog", item.File, got, indexName, item.SHA256)
	}
	facts, err := c.judge(ctx, item, p.file)
	if model.KindOf(err) != "" {
		err = p.condemn("%w", err)
	}
	return facts, err
}

// fetch reads until all bytes are there, again when the medium breaks off.
func (c *Catalog) fetch(ctx context.Context, item Item, p *partial) error {
	most := p.have
	for failed := 0; p.have < item.Size; {
		err := c.part(ctx, item, p)
		if err == nil {
			return nil
		}
		if model.KindOf(err) != model.Unavailable {
			return err
		}
		if failed++; p.have > most {
			failed, most = 1, p.have
		}
		if failed == tries {
			return model.Problemf(model.Unavailable, "%w: %d of %d bytes are there; the same command goes on from them", err, p.have, item.Size)
		}
		if err := c.rest(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catalog) rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(c.pause):
		return nil
	}
}

// part reads one stream to its end.
func (c *Catalog) part(ctx context.Context, item Item, p *partial) error {
	s, err := c.source.open(ctx, item.File, p.have, p.tag)
	if err != nil {
		return err
	}
	defer s.Close()
	if s.size >= 0 && s.size != item.Size {
		return p.condemn("%s is %d bytes long, %s says %d: one of them was changed or damaged; ask who keeps the catalog", item.File, s.size, indexName, item.Size)
	}
	if s.from != p.have || s.from == 0 {
		if err := p.restart(s.tag); err != nil {
			return err
		}
	}
	if _, err := io.CopyBuffer(p, io.LimitReader(s, item.Size-p.have+1), make([]byte, 256<<10)); err != nil {
		return err
	}
	if p.have != item.Size {
		return p.condemn("%s does not have the %d bytes that %s says: one of them was changed or damaged; ask who keeps the catalog", item.File, item.Size, indexName)
	}
	return nil
}

// judge verifies the package in f and holds it to what the index says of it.
func (c *Catalog) judge(ctx context.Context, item Item, f *os.File) (staging.Facts, error) {
	facts, err := verify(ctx, f, item.Size, c.trust)
	if err != nil {
		return facts, err
	}
	if facts.Version != item.Version {
		return facts, model.Problemf(model.Refused, "%s is of version %s, %s says %s: ask who keeps the catalog", item.File, facts.Version, indexName, item.Version)
	}
	if have := platforms(facts); !slices.Equal(have, slices.Sorted(slices.Values(item.Platforms))) {
		return facts, model.Problemf(model.Refused, "%s is for %v, %s says %v: ask who keeps the catalog", item.File, have, indexName, item.Platforms)
	}
	return facts, nil
}

func verify(ctx context.Context, r io.ReaderAt, size int64, trust staging.Trust) (staging.Facts, error) {
	p, err := staging.Open(r, size, staging.DefaultLimits())
	if err != nil {
		return staging.Facts{}, err
	}
	return p.Verify(ctx, trust)
}
