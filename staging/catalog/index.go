package catalog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/Masterminds/semver/v3"
	"go.yaml.in/yaml/v3"

	"github.com/theseusd/theseus/model"
)

const (
	indexName     = "catalog.yaml"
	signatureName = indexName + ".minisig"

	indexLimit     = 4 << 20
	signatureLimit = 16 << 10
	itemsLimit     = 10_000
)

// index is the text of catalog.yaml.
type index struct {
	Items []Item `yaml:"items"`
}

// parseIndex reads the items, sorted by name and then the newest version first. A
// field that this version does not know is refused, not passed over: it may hold
// a condition.
func parseIndex(text []byte) ([]Item, error) {
	var i index
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&i); err != nil && !errors.Is(err, io.EOF) {
		return nil, refused("it cannot be read: %v; if it is newer than this program, get a newer one", err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, refused("it holds more than one document: keep the first")
	}
	if len(i.Items) > itemsLimit {
		return nil, model.Problemf(model.TooLarge, "%s: it has %d items, more than %d, the limit: split the catalog", indexName, len(i.Items), itemsLimit)
	}
	for n, it := range i.Items {
		if why := it.wrong(); why != "" {
			return nil, refused("item %d, %s", n+1, why)
		}
	}
	return sorted(i.Items)
}

// sorted puts the items in their order; two of the same name and version, build
// metadata aside, have none.
func sorted(items []Item) ([]Item, error) {
	type ranked struct {
		Item
		version *semver.Version
	}
	all := make([]ranked, len(items))
	for i, it := range items {
		v, err := semver.StrictNewVersion(it.Version)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", it.Reference(), err)
		}
		all[i] = ranked{it, v}
	}
	order := func(a, b ranked) int { return cmp.Or(cmp.Compare(a.Name, b.Name), b.version.Compare(a.version)) }
	slices.SortStableFunc(all, order)
	for i := range all {
		if i > 0 && order(all[i-1], all[i]) == 0 {
			return nil, refused("it has both %s as %s and %s as %s, and neither is the newer: keep one", all[i-1].Reference(), all[i-1].File, all[i].Reference(), all[i].File)
		}
		items[i] = all[i].Item
	}
	return items, nil
}

// formatIndex is the text that parseIndex reads.
func formatIndex(items []Item) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(index{items}), e.Close()); err != nil {
		return nil, fmt.Errorf("write %s: %w", indexName, err)
	}
	return b.Bytes(), nil
}

func refused(format string, args ...any) *model.Problem {
	return model.Problemf(model.Refused, indexName+": "+format, args...)
}
