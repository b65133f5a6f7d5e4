package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/staging/catalog"
)

// trustFlags are whose signature is taken.
type trustFlags struct {
	keys     []string
	unsigned bool
}

func (t *trustFlags) define(f *pflag.FlagSet) {
	f.StringArrayVar(&t.keys, "trusted-key", nil, "public key, or a file of such, that may sign (repeatable)")
	f.BoolVar(&t.unsigned, "allow-unsigned", false, "take what nobody trusted has signed")
}

// catalogFlags are where a catalog is and whom to trust. What is not given is
// taken from the environment.
type catalogFlags struct {
	where string
	trustFlags
}

func (f *catalogFlags) define(set *pflag.FlagSet) {
	set.StringVar(&f.where, "catalog", "", "directory or http(s) address of the catalog")
	f.trustFlags.define(set)
}

// with hands the open catalog to do, once the flags are known to be good.
func (f *catalogFlags) with(c *cobra.Command, a *app, do func(*catalog.Catalog) error) error {
	if _, err := a.format(c); err != nil {
		return err
	}
	in, err := f.open(c.Context(), a)
	if err != nil {
		return err
	}
	return do(in)
}

func (f *catalogFlags) open(ctx context.Context, a *app) (*catalog.Catalog, error) {
	where := first(f.where, a.env("THESEUS_CATALOG"), a.env("RS_CATALOG"))
	if where == "" {
		return nil, catalogUsage(errors.New("say where the catalog is: --catalog DIR or URL, or THESEUS_CATALOG"))
	}
	trust, err := f.trust(a)
	if err != nil {
		return nil, err
	}
	return catalog.Open(ctx, where, trust)
}

func (f *catalogFlags) trust(a *app) (staging.Trust, error) {
	keys, unsigned := f.keys, f.unsigned
	if text := a.env("THESEUS_TRUSTED_KEY"); len(keys) == 0 && text != "" {
		keys = strings.Split(text, ",")
	}
	if text := a.env("THESEUS_ALLOW_UNSIGNED"); !unsigned && text != "" {
		var err error
		if unsigned, err = strconv.ParseBool(text); err != nil {
			return staging.Trust{}, catalogUsage(fmt.Errorf("THESEUS_ALLOW_UNSIGNED %q: want true or false", text))
		}
	}
	if len(keys) == 0 && !unsigned {
		return staging.Trust{}, catalogUsage(errors.New("say whom to trust: --trusted-key KEY or THESEUS_TRUSTED_KEY, or --allow-unsigned"))
	}
	return staging.LoadTrust(keys, unsigned)
}

func catalogUsage(err error) error { return &usageError{"theseus catalog item", err} }

// catalogPrefix marks a FILE that is the name of an item of a catalog.
const catalogPrefix = "catalog:"

// catalogFile downloads what a reference such as catalog:theseus-1.1.0 means from the
// catalog that the environment names. Path is good until cleanup is called, which
// is never nil and may be called after an error too.
func (a *app) catalogFile(ctx context.Context, reference string) (path string, cleanup func(), err error) {
	nothing := func() {}
	in, err := new(catalogFlags).open(ctx, a)
	if err != nil {
		return "", nothing, err
	}
	item, err := in.Find(strings.TrimPrefix(reference, catalogPrefix))
	if err != nil {
		return "", nothing, err
	}
	dir, err := os.MkdirTemp("", "theseus-catalog-")
	if err != nil {
		return "", nothing, fmt.Errorf("make room for %s: %w", reference, err)
	}
	path = filepath.Join(dir, filepath.Base(item.File))
	if _, err := a.receive(ctx, in, item, path); err != nil {
		os.RemoveAll(dir)
		return "", nothing, err
	}
	return path, func() { os.RemoveAll(dir) }, nil
}

// receive downloads an item and says how far it is.
func (a *app) receive(ctx context.Context, in *catalog.Catalog, item catalog.Item, file string) (staging.Facts, error) {
	p := &progress{size: item.Size, to: a.stderr, redraw: a.errTerminal}
	defer p.end()
	return in.Download(ctx, item, file, func(have int64) {
		p.sent = have
		if step := p.step(); step > p.shown {
			p.shown = step
			p.draw(fmt.Sprintf("received %3d %% of %s", 100*have/item.Size, mebibytes(item.Size)))
		}
	})
}
