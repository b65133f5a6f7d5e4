package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/staging/catalog"
)

const referenceHelp = `
NAME is theseus for the newest stable version, theseus-1.1.0 for just that one,
or theseus-CHANNEL for the newest of a channel.`

func catalogCommand(a *app) *cobra.Command {
	return group("catalog", "Find and download upgrade archives by name",
		group("item", "The archives of a catalog", listItemsCommand(a), showItemCommand(a), downloadItemCommand(a)),
		buildCatalogCommand(a))
}

func listItemsCommand(a *app) *cobra.Command {
	var from catalogFlags
	c := leaf("list", "Show every archive of a catalog, the newest first", 0, 0, func(c *cobra.Command, _ []string) error {
		return from.with(c, a, func(in *catalog.Catalog) error { return a.showItems(c, in.Items()) })
	})
	from.define(c.Flags())
	return c
}

func showItemCommand(a *app) *cobra.Command {
	var from catalogFlags
	c := leaf("show NAME", "Show one archive of a catalog", 1, 1, func(c *cobra.Command, args []string) error {
		return from.with(c, a, func(in *catalog.Catalog) error {
			item, err := in.Find(args[0])
			if err != nil {
				return err
			}
			return a.showItem(c, item)
		})
	})
	c.Long = c.Short + ".\n" + referenceHelp
	from.define(c.Flags())
	return c
}

func downloadItemCommand(a *app) *cobra.Command {
	var from catalogFlags
	c := leaf("download NAME [to FILE]", "Download an archive of a catalog and verify it", 1, 3, func(c *cobra.Command, args []string) error {
		if len(args) == 2 || len(args) == 3 && args[1] != "to" {
			return usage(c, fmt.Errorf("want: %s", c.UseLine()))
		}
		return from.with(c, a, func(in *catalog.Catalog) error { return a.downloadItem(c, in, args) })
	})
	c.Long = c.Short + `.

FILE gets its name once the archive is whole and verified; without "to FILE" it is
called as in the catalog. What came of a download that broke off is kept beside
it, and the same command goes on from there.
` + referenceHelp
	from.define(c.Flags())
	return c
}

// downloadItem does what the arguments NAME [to FILE] say.
func (a *app) downloadItem(c *cobra.Command, in *catalog.Catalog, args []string) error {
	item, err := in.Find(args[0])
	if err != nil {
		return err
	}
	file := path.Base(item.File)
	if len(args) == 3 {
		file = args[2]
	}
	facts, err := a.receive(c.Context(), in, item, file)
	if err != nil {
		return err
	}
	signer := first(facts.Signer, "nobody")
	if facts.Signer != "" && !facts.Trusted {
		signer += ", who is not trusted"
	}
	return errors.Join(a.tell(nil, "wrote %s: %s, signed by %s", file, item.Reference(), signer), a.showItem(c, item))
}

func buildCatalogCommand(a *app) *cobra.Command {
	var key keyFlags
	var trust trustFlags
	c := leaf("build DIR", "Make a directory of upgrade archives a catalog", 1, 1, func(c *cobra.Command, args []string) error {
		if _, err := a.format(c); err != nil {
			return err
		}
		signer, err := key.load()
		if err != nil {
			return err
		}
		vouchers, err := trust.beside(signer)
		if err != nil {
			return err
		}
		items, err := catalog.Build(c.Context(), args[0], vouchers, signer)
		if err != nil {
			return err
		}
		if signer == nil {
			err = a.tell(nil, "wrote catalog.yaml; nobody signed it, so that only who allows unsigned ones will take it")
		} else {
			err = a.tell(nil, "wrote catalog.yaml, signed with key %s", signer.ID())
		}
		return errors.Join(err, a.showItems(c, items))
	})
	c.Long = c.Short + `.

Every file in DIR that ends in .zip, .tar.gz or .tgz is verified and listed in
catalog.yaml. With --key that is signed, and archives must be signed by the same
key or by a --trusted-key. Channel and description may be changed in catalog.yaml
by hand: they are kept when it is built again.`
	key.define(c.Flags(), "file with the private key to sign the catalog with")
	trust.define(c.Flags())
	return c
}

// beside is whom to trust for archives of a catalog that key signs. Without any
// key there is nobody to hold them to.
func (t *trustFlags) beside(key *staging.Key) (staging.Trust, error) {
	keys := t.keys
	if key != nil {
		keys = append([]string{key.Public()}, keys...)
	}
	return staging.LoadTrust(keys, t.unsigned || len(keys) == 0)
}

func (a *app) showItems(c *cobra.Command, items []catalog.Item) error {
	if items == nil {
		items = []catalog.Item{} // a list also where there is none
	}
	raw, err := json.Marshal(items)
	if err != nil {
		return err
	}
	return a.show(c, raw, itemTable)
}

func (a *app) showItem(c *cobra.Command, item catalog.Item) error {
	raw, err := json.Marshal(item)
	if err != nil {
		return err
	}
	return a.show(c, raw, fields)
}

func itemTable(w io.Writer, raw json.RawMessage) error {
	items, err := decode[[]catalog.Item](raw)
	if err != nil {
		return err
	}
	row(w, "NAME", "CHANNEL", "SIZE", "PLATFORMS", "DESCRIPTION")
	for _, it := range items {
		row(w, it.Reference(), it.Channel, mebibytes(it.Size), strings.Join(it.Platforms, ","), it.Description)
	}
	return nil
}
