package staging

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
)

// Recipe is what a package is built from.
type Recipe struct {
	// Version with or without v; it may stand in Extra instead.
	Version string
	// Bins maps a platform (linux/amd64) to the directory that holds its theseusd,
	// and its theseus if the package is to bring it.
	Bins map[string]string
	// Migrations maps a platform to the directory that holds an executable for each
	// migration that Extra declares.
	Migrations map[string]string
	// Extra is a manifest whose fields come besides. None may say otherwise than
	// Version and Bins.
	Extra []byte
	// Format is what the package is written as; empty is a zip.
	Format Format
	// Key signs the package; without one it is not signed.
	Key *Key
}

// Build writes a package. Equal input makes equal bytes.
func Build(w io.Writer, r Recipe) error {
	m, err := r.manifest()
	if err != nil {
		return err
	}
	b := newBuilder(w, r.Format)
	if err := b.text(manifestName, m.format()); err != nil {
		return err
	}
	for _, platform := range m.Platforms {
		if err := b.programs(platform, r.Bins[platform]); err != nil {
			return err
		}
	}
	if err := b.migrations(m, r.Migrations); err != nil {
		return err
	}
	if err := b.seal(r.Key, m.Version); err != nil {
		return err
	}
	return b.to.Close()
}

// BuildFile builds a package into the file path, whole or not at all.
func BuildFile(path string, r Recipe) error {
	err := durable.Write(path, 0o644, func(w io.Writer) error { return Build(w, r) })
	if err != nil && model.KindOf(err) == "" {
		return fmt.Errorf("build %s: %w", path, err)
	}
	return err
}

// manifest puts the recipe and its extra fields together.
func (r Recipe) manifest() (Manifest, error) {
	m := Manifest{Name: Product, Version: strings.TrimPrefix(r.Version, "v")}
	for platform := range r.Bins {
		m.Platforms = append(m.Platforms, platform)
	}
	slices.Sort(m.Platforms)
	if len(r.Extra) > 0 {
		extra, err := decodeManifest(r.Extra)
		if err != nil {
			return m, err
		}
		if err := m.join(extra); err != nil {
			return m, err
		}
	}
	if err := m.check(); err != nil {
		return m, err
	}
	return m, r.checkMigrations(m)
}

// join takes from extra what m lacks.
func (m *Manifest) join(extra Manifest) error {
	if m.Version == "" {
		m.Version = extra.Version
	}
	m.Rules, m.Migrations = extra.Rules, extra.Migrations
	for _, field := range []struct{ name, own, extra string }{
		{"name", m.Name, extra.Name},
		{"version", m.Version, extra.Version},
		{"platforms", strings.Join(m.Platforms, ","), strings.Join(extra.Platforms, ",")},
	} {
		if field.extra != "" && field.extra != field.own {
			return refused("the extra manifest's field %q is %q, but the package is built with %q: make them agree", field.name, field.extra, field.own)
		}
	}
	return nil
}

// builder writes the files of a package and remembers their digests.
type builder struct {
	to   packer
	sums sums
}

func newBuilder(w io.Writer, f Format) builder { return builder{to: newPacker(w, f), sums: sums{}} }

// programs adds the daemon and, if dir has it, the command line.
func (b builder) programs(platform, dir string) error {
	if err := b.program(daemonName(platform), filepath.Join(dir, "theseusd")); err != nil {
		return err
	}
	err := b.program(cliName(platform), filepath.Join(dir, "theseus"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (b builder) program(name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("build the package: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("build the package: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return model.Problemf(model.Refused, "build the package: %s is not a file with a program in it", path)
	}
	return b.add(name, 0o755, info.Size(), f)
}

// add writes one file of size bytes.
func (b builder) add(name string, mode fs.FileMode, size int64, body io.Reader) error {
	w, err := b.to.create(name, mode, size)
	if err != nil {
		return fmt.Errorf("build the package: %s: %w", name, err)
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, sum), body); err != nil {
		return fmt.Errorf("build the package: %s: %w", name, err)
	}
	b.sums[name] = digest(sum.Sum(nil))
	return nil
}

func (b builder) text(name string, text []byte) error {
	return b.add(name, 0o644, int64(len(text)), bytes.NewReader(text))
}

// seal adds the sums and, with a key, its signature over them.
func (b builder) seal(key *Key, version string) error {
	text := b.sums.format()
	if err := b.text(sumsName, text); err != nil {
		return err
	}
	if key == nil {
		return nil
	}
	return b.text(signatureName, key.sign(text, comment(version)))
}

// comment is what a signature says of a package, signed with it.
func comment(version string) string { return Product + " " + version }
