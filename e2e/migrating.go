package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// Migrating is a package of b, signed with a key, that brings the migrations of
// these names. A name ends in how many attempts fail.
func (w *Workshop) Migrating(ctx context.Context, cli string, b Build, key string, names ...string) (path string, err error) {
	program, err := w.migration(ctx)
	if err != nil {
		return "", err
	}
	bin, err := w.Binaries(ctx, b)
	if err != nil {
		return "", err
	}
	return w.once("packages/"+b.Version+"-"+strings.Join(names, "-")+".zip", func(path string) error {
		dir, manifest := path+".d", path+".yaml"
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		text := "migrations:\n"
		for _, name := range names {
			if err := copyFile(program, filepath.Join(dir, name)); err != nil {
				return err
			}
			text += "  - name: " + name + "\n    phase: migrate\n"
		}
		if err := os.WriteFile(manifest, []byte(text), 0o644); err != nil {
			return err
		}
		_, err := output(ctx, "", nil, cli, "package", "build", "--version", b.Version, "--bin", platform()+"="+bin,
			"--migrations", platform()+"="+dir, "--manifest", manifest, "--key", key, "-o", path)
		return err
	})
}

// migration is the path of the program that moves items.
func (w *Workshop) migration(ctx context.Context) (path string, err error) {
	return w.once("migration", func(path string) error {
		_, err := output(ctx, w.root, append(os.Environ(), "CGO_ENABLED=0"), "go", "build", "-trimpath", "-o", path, "./e2e/migration")
		return err
	})
}
