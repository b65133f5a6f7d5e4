package main

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/model"
)

func featuresCommand(a *app) *cobra.Command {
	return a.reader("features", "Show what of this version may be used, and what is off until an upgrade is completed", featuresTable, "features")
}

func featuresTable(w io.Writer, raw json.RawMessage) error {
	all, err := decode[[]model.Feature](raw)
	if err != nil {
		return err
	}
	row(w, "FEATURE", "ON", "WHAT", "WHY NOT")
	for _, f := range all {
		row(w, f.Name, yes(f.Active), f.What, f.Reason)
	}
	return nil
}
