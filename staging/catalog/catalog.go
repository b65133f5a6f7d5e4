package catalog

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
)

// Catalog is a catalog whose index has been read and judged. Its methods may be
// called from many goroutines.
type Catalog struct {
	source source
	trust  staging.Trust
	items  []Item
	pause  time.Duration // between two tries

	// Signer is the id of the key that signed the index, "" if it is not signed.
	Signer string
}

// Open reads the index of the catalog at where, a directory or an HTTP(S) address.
// Trust holds for the index and for every package that is downloaded.
func Open(ctx context.Context, where string, trust staging.Trust) (*Catalog, error) {
	s, err := locate(where)
	if err != nil {
		return nil, err
	}
	c := &Catalog{source: s, trust: trust, pause: pause}
	if err := c.readIndex(ctx); err != nil {
		return nil, while(err, "read catalog %s", s)
	}
	return c, nil
}

func (c *Catalog) readIndex(ctx context.Context) error {
	text, err := small(ctx, c.source, indexName, indexLimit)
	if err != nil {
		return err
	}
	sig, err := small(ctx, c.source, signatureName, signatureLimit)
	if model.KindOf(err) == model.NotFound {
		sig, err = nil, nil
	}
	if err != nil {
		return err
	}
	if c.Signer, err = c.trust.JudgeDocument(indexName, text, sig); err != nil {
		return err
	}
	c.items, err = parseIndex(text)
	return err
}

// Items are all items, by name and then the newest version first.
func (c *Catalog) Items() []Item { return slices.Clone(c.items) }

// Find is the item that reference means: NAME the newest stable one, NAME-CHANNEL
// the newest of a channel, NAME-VERSION just that. A version is taken with or
// without v.
func (c *Catalog) Find(reference string) (Item, error) {
	name, which, _ := strings.Cut(reference, "-")
	if name == reference {
		which = Stable
	}
	for _, it := range c.items {
		if it.Name == name && (it.Channel == which || it.Version == strings.TrimPrefix(which, "v")) {
			return it, nil
		}
	}
	return Item{}, model.Problemf(model.NotFound, "catalog %s has no %s: %s", c.source, reference, c.has(name, which))
}

// has says what could have been asked for instead of name and which.
func (c *Catalog) has(name, which string) string {
	if strings.ContainsAny(name, "@:=/") {
		return "a name is written theseus, theseus-1.1.0 or theseus-stable"
	}
	if len(c.items) == 0 {
		return "it is empty"
	}
	const most = 5
	var all []string
	for _, it := range c.items {
		all = append(all, fmt.Sprintf("%s (%s)", it.Reference(), it.Channel))
	}
	if len(all) > most {
		all = append(all[:most], fmt.Sprintf("%d more", len(all)-most))
	}
	return "it has " + strings.Join(all, ", ")
}

// small reads a file of at most limit bytes.
func small(ctx context.Context, s source, file string, limit int64) ([]byte, error) {
	in, err := s.open(ctx, file, 0, "")
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, model.Problemf(model.TooLarge, "%s is longer than %d bytes, the limit", file, limit)
	}
	return text, nil
}

// while says what was being done when err came; its kind stays.
func while(err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	if kind := model.KindOf(err); kind != "" {
		return model.Problemf(kind, "%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
