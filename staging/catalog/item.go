package catalog

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/staging"
)

// Stable is the channel that a name alone means.
const Stable = "stable"

// Item is one package of a catalog, as the index states it.
type Item struct {
	Name        string   `yaml:"name" json:"name"`       // staging.Product
	Version     string   `yaml:"version" json:"version"` // semantic version, without v
	Channel     string   `yaml:"channel" json:"channel"` // Stable or another word
	File        string   `yaml:"file" json:"file"`       // below the catalog, with slashes
	Size        int64    `yaml:"size" json:"size"`       // bytes
	SHA256      string   `yaml:"sha256" json:"sha256"`   // 64 hex digits
	Platforms   []string `yaml:"platforms,flow" json:"platforms"`
	Description string   `yaml:"description,omitempty" json:"description"`
}

// Reference is the name that finds just this item.
func (it Item) Reference() string { return it.Name + "-" + it.Version }

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

// spelled says whether text is of at least one and at most limit characters, the
// first one of first and the others of first or rest.
func spelled(text string, limit int, first, rest string) bool {
	return text != "" && len(text) <= limit && strings.Contains(first, text[:1]) && strings.Trim(text, first+rest) == ""
}

// wrong says what is wrong with the item, or "".
func (it Item) wrong() string {
	switch {
	case !spelled(it.Name, 64, lower, digits):
		return fmt.Sprintf("name %q: want lower-case letters and digits, a letter first", it.Name)
	case !isVersion(it.Version):
		return fmt.Sprintf("version %q: want a semantic version such as 1.2.3, without v", it.Version)
	case !spelled(it.Channel, 32, lower, digits):
		return fmt.Sprintf("channel %q: want a word such as %s", it.Channel, Stable)
	case !isFile(it.File):
		return fmt.Sprintf("file %q: want a path below the catalog, of letters, digits, -, _, + and dots that do not come first", it.File)
	case it.Size < 1 || it.Size > staging.DefaultLimits().Size:
		return fmt.Sprintf("size %d: want 1 to %d bytes", it.Size, staging.DefaultLimits().Size)
	case len(it.SHA256) != 64 || strings.Trim(it.SHA256, digits+"abcdef") != "":
		return fmt.Sprintf("sha256 %q: want 64 hex digits in lower case", it.SHA256)
	case !isText(it.Description):
		return "description: want one line of at most 1000 bytes"
	}
	return wrongPlatforms(it.Platforms)
}

func wrongPlatforms(all []string) string {
	if len(all) == 0 {
		return "platforms: want at least one, such as [linux/amd64]"
	}
	seen := map[string]bool{}
	for _, platform := range all {
		os, arch, _ := strings.Cut(platform, "/")
		if !spelled(os, 20, lower+digits, "") || !spelled(arch, 20, lower+digits, "") {
			return fmt.Sprintf("platforms: %q is not of the form os/arch, such as linux/amd64", platform)
		}
		if seen[platform] {
			return fmt.Sprintf("platforms: %q is there twice", platform)
		}
		seen[platform] = true
	}
	return ""
}

func isVersion(text string) bool {
	_, err := semver.StrictNewVersion(text)
	return err == nil && len(text) <= 128
}

// isFile takes only names that mean the same file on every system and in every
// address.
func isFile(text string) bool {
	for part := range strings.SplitSeq(text, "/") {
		if !spelled(part, 128, lower+upper+digits, "-_+.") {
			return false
		}
	}
	return len(text) <= 240 && text != indexName && text != signatureName
}

func isText(text string) bool {
	return len(text) <= 1000 && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
