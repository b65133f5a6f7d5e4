package staging

import (
	"archive/zip"
	"context"
	"fmt"
	"io"

	"github.com/theseusd/theseus/internal/durable"
)

// Sign writes p again with a signature by key, in place of the one it has, if
// any. It verifies all but the old signature first: what is signed is whole.
func Sign(ctx context.Context, w io.Writer, p *Package, key Key) error {
	bare := p.without(signatureName)
	facts, err := bare.Verify(ctx, Trust{AllowUnsigned: true})
	if err != nil {
		return err
	}
	text, err := p.small(sumsName, sumsLimit)
	if err != nil {
		return err
	}
	b := builder{zip: zip.NewWriter(w), sums: sums{}}
	for _, e := range bare.list {
		if err := b.zip.Copy(e.file); err != nil {
			return fmt.Errorf("sign the package: copy %s: %w", e.name, err)
		}
	}
	if err := b.add(signatureName, 0o644, exactly(key.sign(text, comment(facts.Version)))); err != nil {
		return err
	}
	return b.zip.Close()
}

// SignFile signs the package in the file path, whole or not at all.
func SignFile(ctx context.Context, path string, l Limits, key Key) error {
	f, size, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := Open(f, size, l)
	if err != nil {
		return err
	}
	return durable.Write(path, 0o644, func(w io.Writer) error { return Sign(ctx, w, p, key) })
}

// without is p as if it did not hold name.
func (p *Package) without(name string) *Package {
	rest := &Package{entries: map[string]entry{}}
	for _, e := range p.list {
		if e.name != name {
			rest.list = append(rest.list, e)
			rest.entries[e.name] = e
		}
	}
	return rest
}
