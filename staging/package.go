package staging

import (
	"context"
	"io"
	"strings"

	"github.com/theseusd/theseus/model"
)

// Package is an open archive whose list of files has been read and judged; who
// signed it and what the files are has not. Its methods may be called from many goroutines.
type Package struct {
	source  *source
	limits  Limits
	format  Format
	list    []entry // in the order of the archive
	entries map[string]entry
}

// Facts are what a verified package holds.
type Facts struct {
	Version string
	// Images maps a platform (linux/amd64) to sha256:<hex> of its theseusd; CLIs
	// the same for theseus, where the package brings it.
	Images, CLIs map[string]string

	Rules *model.Rules // what it asks for beside the version table; nil: nothing
	// Migrations are in the order in which they run.
	Migrations []model.Migration

	Signer  string // id of the key that signed it, "" if it is not signed
	Trusted bool   // that key is trusted; never false unless unsigned packages are allowed
	Comment string // what a trusted signer said of it
}

// Open is OpenContext without an end to its time.
func Open(r io.ReaderAt, size int64, l Limits) (*Package, error) {
	return OpenContext(context.Background(), r, size, l)
}

// OpenContext reads the list of files of an archive of size bytes and holds the
// rules on names, kinds, numbers and sizes. Of a zip that takes its directory, of
// a tar.gz all of its bytes. It keeps r and never closes it; once it returned,
// ctx does not matter any more.
func OpenContext(ctx context.Context, r io.ReaderAt, size int64, l Limits) (*Package, error) {
	if size > l.Size {
		return nil, tooLarge("it is %d bytes long, more than %d, the limit", size, l.Size)
	}
	s := &source{r: r, size: size, left: int64(l.Entries)*directoryShare + directoryRoom}
	format, err := formatOf(s)
	if err != nil {
		return nil, err
	}
	list, err := format.list(ctx, s, l)
	if err != nil {
		return nil, err
	}
	p := &Package{source: s, limits: l, format: format, list: list, entries: make(map[string]entry, len(list))}
	for _, e := range list {
		p.entries[e.name] = e
	}
	return p, nil
}

// Verify holds that the package is whole, signed by someone trusted, and for this
// product, and says what it holds. It reads every byte once, or not at all if
// Open had to read it, and holds none of the binaries in memory.
func (p *Package) Verify(ctx context.Context, t Trust) (Facts, error) {
	proof, err := p.Proof()
	if err != nil {
		return Facts{}, err
	}
	all, by, err := proof.signed(t)
	if err != nil {
		return Facts{}, err
	}
	if err := all.cover(p.entries); err != nil {
		return Facts{}, err
	}
	f, err := proof.facts(all, by)
	if err != nil {
		return Facts{}, err
	}
	if err := p.hash(ctx, all); err != nil {
		return Facts{}, err
	}
	return f, nil
}

// hash reads every file that the sums cover to its end, unless that was done.
func (p *Package) hash(ctx context.Context, all sums) error {
	buf := make([]byte, 256<<10)
	for _, e := range p.list {
		if want, covered := all[e.name]; covered {
			if err := consume(ctx, e, want, buf); err != nil {
				return err
			}
		}
	}
	return nil
}

func consume(ctx context.Context, e entry, want digest, buf []byte) error {
	if e.seen != nil {
		if *e.seen != want {
			return changed(e.name)
		}
		return nil
	}
	r, err := open(e, &want)
	if err != nil {
		return err
	}
	defer r.Close()
	nowhere := struct{ io.Writer }{io.Discard} // io.Discard itself would read by 8 KiB
	_, err = io.CopyBuffer(nowhere, &patient{ctx, r}, buf)
	return err
}

func daemonName(platform string) string { return "bin/" + platform + "/theseusd" }
func cliName(platform string) string    { return "bin/" + platform + "/theseus" }

// platformOf is the platform that name is a program for.
func platformOf(name string) (platform string, is bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != "bin" || parts[3] != "theseusd" && parts[3] != "theseus" {
		return "", false
	}
	return parts[1] + "/" + parts[2], true
}

// Binary opens the daemon for a platform. What it gives out is checked against
// sha256sums: a reader that comes to io.EOF has read the right bytes, any other
// end means that they must not be used. Who signed is Verify's to say.
func (p *Package) Binary(platform string) (io.ReadCloser, int64, error) {
	return p.program(daemonName(platform), "--bin", platform)
}

// CLI opens the command line for a platform, as Binary does the daemon.
func (p *Package) CLI(platform string) (io.ReadCloser, int64, error) {
	return p.program(cliName(platform), "--bin", platform)
}

// program opens a program; flag is the one of package build that brings it.
func (p *Package) program(name, flag, platform string) (io.ReadCloser, int64, error) {
	text, err := p.small(sumsName)
	if err != nil {
		return nil, 0, err
	}
	all, err := parseSums(text)
	if err != nil {
		return nil, 0, err
	}
	e, there := p.entries[name]
	want, covered := all[name]
	if !there || !covered {
		return nil, 0, refused("there is no %s: build it with %s %s=DIR", name, flag, platform)
	}
	r, err := open(e, &want)
	return r, e.size, err
}

// small reads a file that must be there and is one of the few with a limit.
func (p *Package) small(name string) ([]byte, error) {
	e, there := p.entries[name]
	if !there {
		return nil, refused("there is no %s: build it with `theseus package build`", name)
	}
	if err := fits(name, e.size); err != nil {
		return nil, err
	}
	if e.seen != nil {
		return e.text, nil
	}
	r, err := open(e, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
