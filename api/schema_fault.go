//go:build fault_schema

package api

import "github.com/theseusd/theseus/model"

// described makes a build with FAULT=schema a bad release: it works in all, and
// answers info without a field that clients know, and with another type in one.
func described(i model.Info) any {
	return map[string]any{"version": i.Version, "id": i.ID, "features": i.Features, "errors": i.Errors, "api_port": "many"}
}
