package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
)

// Testing is the channel that Build gives a pre-release.
const Testing = "testing"

// Build makes dir a catalog of the packages that lie in it: it verifies each and
// writes the index, signed if there is a key. Channel and description of a package
// that an index there has already are kept: they may be changed by hand, and
// Build called again. It answers the items.
func Build(ctx context.Context, dir string, trust staging.Trust, key *staging.Key) ([]Item, error) {
	items, err := describeAll(ctx, directory(dir), trust)
	if err != nil {
		return nil, while(err, "build the catalog %s", dir)
	}
	if err := writeIndex(dir, items, key); err != nil {
		return nil, while(err, "build the catalog %s", dir)
	}
	return items, nil
}

func describeAll(ctx context.Context, d directory, trust staging.Trust) ([]Item, error) {
	known, err := knownItems(ctx, d)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, e := range entries {
		if !isPackage(e.Name()) {
			continue
		}
		it, err := describe(ctx, d, e.Name(), trust)
		if err != nil {
			return nil, err
		}
		if old, there := known[it.SHA256]; there {
			it.Channel, it.Description = old.Channel, old.Description
		}
		if why := it.wrong(); why != "" {
			return nil, model.Problemf(model.Refused, "%s: %s", e.Name(), why)
		}
		items = append(items, it)
	}
	if len(items) == 0 {
		return nil, model.Problemf(model.NotFound, "it holds no package: put some in, with names that end in .zip, .tar.gz or .tgz")
	}
	return sorted(items)
}

func isPackage(name string) bool {
	return !strings.HasPrefix(name, ".") && slices.ContainsFunc([]string{".zip", ".tar.gz", ".tgz"},
		func(end string) bool { return strings.HasSuffix(name, end) })
}

// knownItems are those of an index that is there already, by digest. Whether its
// signature fits does not matter: it is about to be replaced.
func knownItems(ctx context.Context, d directory) (map[string]Item, error) {
	text, err := small(ctx, d, indexName, indexLimit)
	if model.KindOf(err) == model.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	items, err := parseIndex(text)
	if err != nil {
		return nil, while(err, "mend the %s that is there, or remove it to begin anew", indexName)
	}
	known := map[string]Item{}
	for _, it := range items {
		known[it.SHA256] = it
	}
	return known, nil
}

// describe verifies a package and says what the index is to state of it.
func describe(ctx context.Context, d directory, name string, trust staging.Trust) (Item, error) {
	f, size, err := d.file(name)
	if err != nil {
		return Item{}, err
	}
	defer f.Close()
	facts, err := verify(ctx, f, size, trust)
	if err != nil {
		return Item{}, while(err, "%s", name)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, &local{ctx, f}); err != nil {
		return Item{}, err
	}
	return Item{Name: staging.Product, Version: facts.Version, Channel: channel(facts.Version), File: name,
		Size: size, SHA256: hex.EncodeToString(sum.Sum(nil)), Platforms: platforms(facts)}, nil
}

func platforms(f staging.Facts) []string { return slices.Sorted(maps.Keys(f.Images)) }

func channel(version string) string {
	if v, err := semver.StrictNewVersion(version); err == nil && v.Prerelease() != "" {
		return Testing
	}
	return Stable
}

// writeIndex writes the index and then its signature. Between the two, and after a
// crash there, readers refuse: the one does not fit the other.
func writeIndex(dir string, items []Item, key *staging.Key) error {
	text, err := formatIndex(items)
	if err != nil {
		return err
	}
	sig := filepath.Join(dir, signatureName)
	if key == nil {
		if err := durable.Remove(sig); err != nil {
			return err
		}
	}
	if err := durable.WriteBytes(filepath.Join(dir, indexName), 0o644, text); err != nil || key == nil {
		return err
	}
	return durable.WriteBytes(sig, 0o644, key.SignDocument(text, "theseus catalog"))
}
