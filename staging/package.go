package staging

import (
	"context"
	"crypto/sha256"
	"io"
	"strings"
)

// Package is an open archive whose list of files has been read and judged; its
// bytes have not. Its methods may be called from many goroutines.
type Package struct {
	list    []entry // in the order of the archive
	entries map[string]entry
}

// Facts are what a verified package holds.
type Facts struct {
	Version string
	// Images maps a platform (linux/amd64) to sha256:<hex> of its theseusd; CLIs
	// the same for theseus, where the package brings it.
	Images, CLIs map[string]string

	Signer  string // id of the key that signed it, "" if it is not signed
	Trusted bool   // that key is trusted; never false unless unsigned packages are allowed
	Comment string // what a trusted signer said of it
}

// Open reads the list of files of an archive of size bytes and holds the rules
// on names, kinds, numbers and sizes. It keeps r and never closes it.
func Open(r io.ReaderAt, size int64, l Limits) (*Package, error) {
	if size > l.Size {
		return nil, tooLarge("it is %d bytes long, more than %d, the limit", size, l.Size)
	}
	list, err := unzip(r, size, l)
	if err != nil {
		return nil, err
	}
	p := &Package{list: list, entries: make(map[string]entry, len(list))}
	for _, e := range list {
		p.entries[e.name] = e
	}
	return p, nil
}

// Verify holds that the package is whole, signed by someone trusted, and for this
// product, and says what it holds. It reads every byte once and holds none of
// the binaries in memory.
func (p *Package) Verify(ctx context.Context, t Trust) (Facts, error) {
	all, by, err := p.signed(t)
	if err != nil {
		return Facts{}, err
	}
	if err := all.cover(p.entries); err != nil {
		return Facts{}, err
	}
	m, err := p.manifest(all)
	if err != nil {
		return Facts{}, err
	}
	if err := p.binaries(m); err != nil {
		return Facts{}, err
	}
	if err := p.hash(ctx, all); err != nil {
		return Facts{}, err
	}
	return facts(m, all, by), nil
}

// signed reads the sums and who vouches for them.
func (p *Package) signed(t Trust) (sums, signature, error) {
	text, err := p.small(sumsName, sumsLimit)
	if err != nil {
		return nil, signature{}, err
	}
	by, err := p.judge(t, text)
	if err != nil {
		return nil, signature{}, err
	}
	all, err := parseSums(text)
	return all, by, err
}

func (p *Package) judge(t Trust, text []byte) (signature, error) {
	if _, signed := p.entries[signatureName]; !signed {
		return t.unsigned()
	}
	sig, err := p.small(signatureName, signatureLimit)
	if err != nil {
		return signature{}, err
	}
	return t.judge(text, sig)
}

func (p *Package) manifest(all sums) (Manifest, error) {
	text, err := p.small(manifestName, manifestLimit)
	if err != nil {
		return Manifest{}, err
	}
	if sha256.Sum256(text) != all[manifestName] {
		return Manifest{}, changed(manifestName)
	}
	return parseManifest(text)
}

// binaries holds that there is a daemon for every platform of the manifest, and
// under bin nothing for another.
func (p *Package) binaries(m Manifest) error {
	named := map[string]bool{}
	for _, platform := range m.Platforms {
		named[platform] = true
		name := daemonName(platform)
		e, there := p.entries[name]
		if !there {
			return refused("%s names the platform %s, but there is no %s: build it with --bin %s=DIR", manifestName, platform, name, platform)
		}
		if e.size == 0 {
			return refused("%s is empty: build the package again", name)
		}
	}
	for _, e := range p.list {
		if platform, is := platformOf(e.name); is && !named[platform] {
			return refused("it holds %s, but %s does not name the platform %s: add it there or leave the file out", e.name, manifestName, platform)
		}
	}
	return nil
}

// hash reads every file that the sums cover to its end.
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
	r, err := open(e, &want)
	if err != nil {
		return err
	}
	defer r.Close()
	nowhere := struct{ io.Writer }{io.Discard} // io.Discard itself would read by 8 KiB
	_, err = io.CopyBuffer(nowhere, &patient{ctx, r}, buf)
	return err
}

func facts(m Manifest, all sums, by signature) Facts {
	f := Facts{Version: m.Version, Images: map[string]string{}, CLIs: map[string]string{},
		Signer: by.signer, Trusted: by.trusted, Comment: by.comment}
	for _, platform := range m.Platforms {
		f.Images[platform] = all[daemonName(platform)].String()
		if d, there := all[cliName(platform)]; there {
			f.CLIs[platform] = d.String()
		}
	}
	return f
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
	return p.program(daemonName(platform), platform)
}

// CLI opens the command line for a platform, as Binary does the daemon.
func (p *Package) CLI(platform string) (io.ReadCloser, int64, error) {
	return p.program(cliName(platform), platform)
}

func (p *Package) program(name, platform string) (io.ReadCloser, int64, error) {
	text, err := p.small(sumsName, sumsLimit)
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
		return nil, 0, refused("there is no %s: build it with --bin %s=DIR", name, platform)
	}
	r, err := open(e, &want)
	return r, e.size, err
}

// small reads a file that must be there and has at most limit bytes.
func (p *Package) small(name string, limit int64) ([]byte, error) {
	e, there := p.entries[name]
	if !there {
		return nil, refused("there is no %s: build it with `theseus package build`", name)
	}
	if e.size > limit {
		return nil, tooLarge("%s is %d bytes long, more than %d, the limit", name, e.size, limit)
	}
	r, err := open(e, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
