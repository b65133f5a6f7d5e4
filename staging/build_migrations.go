package staging

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/theseusd/theseus/model"
)

// checkMigrations holds that there is a directory of executables for every
// platform if migrations are declared, and for none else.
func (r Recipe) checkMigrations(m Manifest) error {
	for _, platform := range slices.Sorted(maps.Keys(r.Migrations)) {
		switch {
		case len(m.Migrations) == 0:
			return model.Problemf(model.Refused, "build the package: there are migrations for %s, but the manifest declares none: list them in the extra manifest's field %q", platform, migrations)
		case !slices.Contains(m.Platforms, platform):
			return model.Problemf(model.Refused, "build the package: there are migrations for %s, but no daemon: add it with --bin %s=DIR", platform, platform)
		}
	}
	for _, platform := range m.Platforms {
		if _, there := r.Migrations[platform]; !there && len(m.Migrations) > 0 {
			return model.Problemf(model.Refused, "build the package: the manifest declares migrations, but there are none for %s: add them with --migrations %s=DIR", platform, platform)
		}
	}
	return nil
}

// migrations adds the executables of the migrations that m declares.
func (b builder) migrations(m Manifest, dirs map[string]string) error {
	for _, platform := range m.Platforms {
		for _, one := range m.Migrations {
			path := filepath.Join(dirs[platform], one.Name)
			err := b.program(migrationName(one.Name, platform), path)
			if errors.Is(err, fs.ErrNotExist) {
				return model.Problemf(model.Refused, "build the package: there is no %s, the program of the migration %s for %s: put it there, or take the migration from the manifest", path, one.Name, platform)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
