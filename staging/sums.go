package staging

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

const (
	manifestName  = "manifest.yaml"
	sumsName      = "sha256sums"
	signatureName = "sha256sums.minisig"
)

// digest is the SHA-256 of a file's bytes.
type digest [32]byte

// String is the digest as records name images: sha256:<hex>.
func (d digest) String() string { return "sha256:" + hex.EncodeToString(d[:]) }

// sums are the digests of the files of a package, by name.
type sums map[string]digest

// parseSums reads the format of sha256sum: on each line 64 hex digits, a space,
// another or an asterisk, and the name.
func parseSums(text []byte) (sums, error) {
	all := sums{}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		name, d, why := parseSum(line)
		if _, twice := all[name]; why == "" && twice {
			why = fmt.Sprintf("it names %q a second time", name)
		}
		if why != "" {
			return nil, refused("%s, line %d: %s; write it with sha256sum, or build the package with `theseus package build`", sumsName, i+1, why)
		}
		all[name] = d
	}
	return all, nil
}

func parseSum(line string) (name string, d digest, why string) {
	const digits = 2 * len(d)
	if len(line) < digits+3 || line[digits] != ' ' || line[digits+1] != ' ' && line[digits+1] != '*' {
		return "", d, "it is not 64 hex digits, two spaces and a name"
	}
	if _, err := hex.Decode(d[:], []byte(line[:digits])); err != nil {
		return "", d, fmt.Sprintf("its digest cannot be read: %v", err)
	}
	name = line[digits+2:]
	if why := misnamed(name); why != "" {
		return "", d, fmt.Sprintf("%q: %s", name, why)
	}
	if name == sumsName || name == signatureName {
		return "", d, fmt.Sprintf("it names %s, which it cannot cover", name)
	}
	return name, d, ""
}

// format is the text that parseSums reads, sorted by name.
func (s sums) format() []byte {
	var text bytes.Buffer
	for _, name := range s.names() {
		d := s[name]
		fmt.Fprintf(&text, "%x  %s\n", d[:], name)
	}
	return text.Bytes()
}

func (s sums) names() []string {
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// cover holds that s names every file of the package but itself and its
// signature, and no other.
func (s sums) cover(entries map[string]entry) error {
	for name := range entries {
		if _, covered := s[name]; !covered && name != sumsName && name != signatureName {
			return refused("%s is not in %s, so nothing vouches for it: add it there or leave it out", name, sumsName)
		}
	}
	for _, name := range s.names() {
		if _, there := entries[name]; !there {
			return refused("%s names %s, which the package does not hold: build it again with `theseus package build`", sumsName, name)
		}
	}
	return nil
}
