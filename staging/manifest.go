package staging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/theseusd/theseus/model"
)

// Product is the name that every manifest states.
const Product = "theseus"

// Manifest says what a package is.
type Manifest struct {
	Name      string   // Product
	Version   string   // semantic version, without v
	Platforms []string // "linux/amd64", sorted; each has a daemon in the package

	Rules *model.Rules // nil: none
	// Migrations are in the order in which they run, without their images.
	Migrations []model.Migration
}

// parseManifest reads manifest.yaml. A field that this version does not know is
// refused, not passed over: it may hold a condition.
func parseManifest(text []byte) (Manifest, error) {
	m, err := decodeManifest(text)
	if err != nil {
		return m, err
	}
	return m, m.check()
}

// decodeManifest reads the fields that are there, in the right shape.
func decodeManifest(text []byte) (Manifest, error) {
	var m Manifest
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return m, refused("%s is not YAML: %v", manifestName, err)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return m, refused("%s is not a list of fields; it needs at least name, version and platforms", manifestName)
	}
	if !errors.Is(d.Decode(&more), io.EOF) {
		return m, refused("%s holds more than one document: keep the first", manifestName)
	}
	return m, m.read("", doc.Content[0])
}

// read reads the fields of the manifest, or of one of its groups, such as
// requires.
func (m *Manifest) read(group string, fields *yaml.Node) error {
	seen := map[string]bool{}
	for i := 0; i+1 < len(fields.Content); i += 2 {
		key, value := fields.Content[i], fields.Content[i+1]
		if seen[key.Value] {
			return misfield(group, key, "it is there twice: keep one")
		}
		seen[key.Value] = true
		if group == "" && key.Value == migrations {
			if err := m.readMigrations(key, value); err != nil {
				return err
			}
			continue
		}
		if isGroup(group, key.Value) {
			if value.Kind != yaml.MappingNode || len(value.Content) == 0 {
				return misfield(group, key, "it must hold fields: leave it out if it has none")
			}
			if err := m.read(dotted(group, key.Value), value); err != nil {
				return err
			}
			continue
		}
		if why := m.set(group, key.Value, value); why != "" {
			return misfield(group, key, why)
		}
	}
	return nil
}

func dotted(group, field string) string {
	if group == "" {
		return field
	}
	return group + "." + field
}

func misfield(group string, key *yaml.Node, why string) error {
	return refused("%s, line %d, field %q: %s", manifestName, key.Line, dotted(group, key.Value), why)
}

// set reads one field; it says what is wrong with it, or "".
func (m *Manifest) set(group, field string, value *yaml.Node) string {
	if group != "" {
		return m.setRule(group, field, value)
	}
	switch field {
	case "name":
		return text(value, &m.Name)
	case "version":
		why := text(value, &m.Version)
		m.Version = strings.TrimPrefix(m.Version, "v")
		return why
	case "platforms":
		return texts(value, "[linux/amd64]", &m.Platforms)
	}
	return unknownField
}

const unknownField = "this version does not know it: leave it out, or upgrade first to a release that reads it"

func text(value *yaml.Node, into *string) string {
	if value.Kind != yaml.ScalarNode || value.Tag == "!!null" || value.Value == "" {
		return "it must be a text"
	}
	*into = value.Value
	return ""
}

func texts(value *yaml.Node, example string, into *[]string) string {
	if value.Kind != yaml.SequenceNode {
		return "it must be a list, such as " + example
	}
	list := make([]string, len(value.Content))
	for i, item := range value.Content {
		if why := text(item, &list[i]); why != "" {
			return fmt.Sprintf("item %d: %s", i+1, why)
		}
	}
	slices.Sort(list)
	*into = list
	return ""
}

// check holds the rules of each field.
func (m Manifest) check() error {
	switch {
	case m.Name == "":
		return refused("%s, field \"name\": it is missing; it must be %s", manifestName, Product)
	case m.Name != Product:
		return refused("%s, field \"name\": the package is for %q, not for %s", manifestName, m.Name, Product)
	case m.Version == "":
		return refused("%s, field \"version\": it is missing; it must be a semantic version such as 1.2.3", manifestName)
	case !isVersion(m.Version):
		return refused("%s, field \"version\": %q is not a semantic version such as 1.2.3", manifestName, m.Version)
	case len(m.Platforms) == 0:
		return refused("%s, field \"platforms\": it is missing or empty; it must list the platforms, such as [linux/amd64]", manifestName)
	}
	for i, platform := range m.Platforms {
		if !isPlatform(platform) {
			return refused("%s, field \"platforms\": %q is not of the form os/arch, such as linux/amd64", manifestName, platform)
		}
		if i > 0 && platform == m.Platforms[i-1] {
			return refused("%s, field \"platforms\": %q is there twice", manifestName, platform)
		}
	}
	return m.checkRules()
}

// isVersion is the expression of semver.org, with an end to its numbers. Which
// versions may follow each other is decided elsewhere.
func isVersion(text string) bool {
	const (
		number = `(0|[1-9]\d{0,17})`
		pre    = `(0|[1-9]\d{0,17}|\d*[a-zA-Z-][0-9a-zA-Z-]*)`
		build  = `[0-9a-zA-Z-]+`
	)
	ok, err := regexp.MatchString(`^`+number+`\.`+number+`\.`+number+
		`(-`+pre+`(\.`+pre+`)*)?(\+`+build+`(\.`+build+`)*)?$`, text)
	return ok && err == nil && len(text) <= 128
}

func isPlatform(text string) bool {
	ok, err := regexp.MatchString(`^[a-z0-9]{1,20}/[a-z0-9]{1,20}$`, text)
	return ok && err == nil
}

// format is the text that parseManifest reads.
func (m Manifest) format() []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "name: %s\nversion: %s\nplatforms:\n", m.Name, m.Version)
	for _, platform := range m.Platforms {
		fmt.Fprintf(&text, "  - %s\n", platform)
	}
	text.Write(formatRules(m.Rules))
	text.Write(formatMigrations(m.Migrations))
	return text.Bytes()
}
