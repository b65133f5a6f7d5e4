package staging

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/theseusd/theseus/internal/durable"
)

// Sign writes p again, in its format, with a signature by key in place of the one
// it has, if any. It verifies all but the old signature first: what is signed is
// whole.
func Sign(ctx context.Context, w io.Writer, p *Package, key Key) error {
	bare := p.without(signatureName)
	facts, err := bare.Verify(ctx, Trust{AllowUnsigned: true})
	if err != nil {
		return err
	}
	text, err := p.small(sumsName)
	if err != nil {
		return err
	}
	b := newBuilder(w, p.format)
	if err := bare.again(ctx, b); err != nil {
		return fmt.Errorf("sign the package: %w", err)
	}
	if err := b.text(signatureName, key.sign(text, comment(facts.Version))); err != nil {
		return err
	}
	return b.to.Close()
}

// again writes the files of p into b, which is of the same format.
func (p *Package) again(ctx context.Context, b builder) error {
	if p.format == TarGz {
		return p.untarInto(ctx, b)
	}
	for _, e := range p.list {
		if err := b.to.(zipPacker).Copy(e.zipped); err != nil {
			return fmt.Errorf("copy %s: %w", e.name, err)
		}
	}
	return nil
}

// untarInto unpacks a tar.gz archive once, however many files it holds.
func (p *Package) untarInto(ctx context.Context, b builder) error {
	in, err := inflate(ctx, p.source, p.limits)
	if err != nil {
		return unreadable(TarGz, err)
	}
	for _, e := range p.list {
		f := &file{name: e.name, unpacked: &slice{in: in, at: e.at, left: e.size}, want: e.seen, hash: sha256.New()}
		if err := b.add(e.name, e.mode, e.size, f); err != nil {
			return err
		}
	}
	return nil
}

// SignFile signs the package in the file path, whole or not at all.
func SignFile(ctx context.Context, path string, l Limits, key Key) error {
	f, size, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := OpenContext(ctx, f, size, l)
	if err != nil {
		return err
	}
	return durable.Write(path, 0o644, func(w io.Writer) error { return Sign(ctx, w, p, key) })
}

// without is p as if it did not hold name.
func (p *Package) without(name string) *Package {
	rest := &Package{source: p.source, limits: p.limits, format: p.format, entries: map[string]entry{}}
	for _, e := range p.list {
		if e.name != name {
			rest.list = append(rest.list, e)
			rest.entries[e.name] = e
		}
	}
	return rest
}
