package staging

import (
	"crypto/sha256"
	"io"
	"strings"

	"github.com/theseusd/theseus/model"
)

// migrationsDir is where the executables of migrations lie in a package.
const migrationsDir = "migrations/"

func migrationName(name, platform string) string { return migrationsDir + platform + "/" + name }

// Migration opens the executable of a migration for a platform, as Binary does
// the daemon.
func (p *Package) Migration(name, platform string) (io.ReadCloser, int64, error) {
	return p.program(migrationName(name, platform), "--migrations", platform)
}

// migrations holds that there is an executable for every platform of each
// migration that the manifest declares, and where they lie nothing else.
func (s sums) migrations(m Manifest) error {
	declared := map[string]bool{}
	for _, platform := range m.Platforms {
		for _, one := range m.Migrations {
			name := migrationName(one.Name, platform)
			declared[name] = true
			d, there := s[name]
			if !there {
				return refused("%s declares the migration %s, but there is no %s: build it with --migrations %s=DIR", manifestName, one.Name, name, platform)
			}
			if d == sha256.Sum256(nil) {
				return refused("%s is empty: build the package again", name)
			}
		}
	}
	for _, name := range s.names() {
		if strings.HasPrefix(name, migrationsDir) && !declared[name] {
			return refused("it holds %s, but %s declares no such migration for such a platform: declare it there or leave the file out", name, manifestName)
		}
	}
	return nil
}

// migrated are the migrations of a manifest with the digests of what they run.
func (s sums) migrated(m Manifest) []model.Migration {
	var all []model.Migration
	for _, one := range m.Migrations {
		one.Images = map[string]string{}
		for _, platform := range m.Platforms {
			one.Images[platform] = s[migrationName(one.Name, platform)].String()
		}
		all = append(all, one)
	}
	return all
}
