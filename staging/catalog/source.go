package catalog

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/theseusd/theseus/model"
)

// source is where the files of a catalog lie.
type source interface {
	// open opens file to be read from the byte from on, if it still has the tag
	// that it had when the bytes before came; "" is not known. A NotFound means that
	// it is not there, Unavailable that it may be worth another try.
	open(ctx context.Context, file string, from int64, tag string) (*stream, error)

	// String is what people know it by, without a password.
	fmt.Stringer
}

// stream is a file being read. An error of Read is Unavailable where the medium
// broke off and another try may go on.
type stream struct {
	io.ReadCloser
	from int64  // the first byte to come: as asked, or 0
	size int64  // of the whole file, -1 if it is not known
	tag  string // changes when the file does, "" if it is not known
}

// locate tells a directory from an address.
func locate(where string) (source, error) {
	scheme, _, address := strings.Cut(where, "://")
	switch {
	case where == "":
		return nil, model.Problemf(model.Malformed, "open the catalog: it has no place; name a directory or an http(s) address")
	case !address:
		return directory(where), nil
	case strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"):
		return newWeb(where)
	}
	return nil, model.Problemf(model.Malformed, "open the catalog %s: a catalog is a directory, or lies at an address that begins with http:// or https://", where)
}
