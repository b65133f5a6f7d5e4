package staging

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/Masterminds/semver/v3"
	"go.yaml.in/yaml/v3"

	"github.com/theseusd/theseus/model"
)

// The groups of fields that hold the rules of a package.
const (
	reachable  = "reachable"
	requires   = "requires"
	companions = "companions" // in requires
	settings   = "settings"   // in requires
)

// isGroup says whether a field holds fields itself.
func isGroup(group, field string) bool {
	switch group {
	case "":
		return field == reachable || field == requires
	case requires:
		return field == companions || field == settings
	}
	return false
}

// setRule reads one field of a group, as set does.
func (m *Manifest) setRule(group, field string, value *yaml.Node) string {
	if m.Rules == nil {
		m.Rules = &model.Rules{}
	}
	r := m.Rules
	switch group {
	case dotted(requires, companions):
		return named(field, value, &r.Companions, misconstrained)
	case dotted(requires, settings):
		return named(field, value, &r.Settings, unprintable)
	}
	switch dotted(group, field) {
	case "reachable.from":
		return lowest(value, &r.Lowest)
	case "reachable.skips":
		return releaseLines(value, &r.Skips)
	case "requires.memory":
		return bytesOf(value, &r.Memory)
	case "requires.disk":
		return bytesOf(value, &r.Disk)
	case "requires.backup":
		return age(value, &r.Backup)
	}
	return unknownField
}

func lowest(value *yaml.Node, into *string) string {
	why := text(value, into)
	*into = strings.TrimPrefix(*into, "v")
	if why == "" && !isVersion(*into) {
		return fmt.Sprintf("%q is not a semantic version such as 1.2.3", value.Value)
	}
	return why
}

// releaseLines reads release lines such as 3.3.
func releaseLines(value *yaml.Node, into *[]string) string {
	if why := texts(value, "[3.3, 3.4]", into); why != "" {
		return why
	}
	for i, line := range *into {
		if !isVersion(line+".0") || strings.Count(line, ".") != 1 {
			return fmt.Sprintf("%q is not a release line such as 3.3", line)
		}
		if i > 0 && line == (*into)[i-1] {
			return fmt.Sprintf("%q is there twice", line)
		}
	}
	if len(*into) == 0 {
		return "it is empty: leave it out"
	}
	return ""
}

// unit is one in which sizes are written.
type unit struct {
	name  string
	bytes int64
}

// units are all, the largest first.
func units() []unit {
	return []unit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}
}

// bytesOf reads a size such as 16GiB.
func bytesOf(value *yaml.Node, into *int64) string {
	for _, u := range units() {
		number, is := strings.CutSuffix(value.Value, u.name)
		n, err := strconv.ParseInt(strings.TrimRight(number, " "), 10, 64)
		if !is || err != nil || n <= 0 || n > math.MaxInt64/u.bytes || value.Kind != yaml.ScalarNode {
			continue
		}
		*into = n * u.bytes
		return ""
	}
	return "it must be a size such as 16GiB, 512MiB or 64KiB"
}

// FormatSize writes a size as a manifest does; "" is none.
func FormatSize(bytes int64) string {
	for _, u := range units() {
		if bytes > 0 && bytes%u.bytes == 0 {
			return strconv.FormatInt(bytes/u.bytes, 10) + u.name
		}
	}
	return ""
}

// FormatAge writes a duration of whole seconds as a manifest does; "" is none.
func FormatAge(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// age reads how old something may be, in whole seconds.
func age(value *yaml.Node, into *time.Duration) string {
	d, err := time.ParseDuration(value.Value)
	if value.Kind != yaml.ScalarNode || err != nil || d <= 0 || d%time.Second != 0 {
		return "it must be a duration such as 24h"
	}
	*into = d
	return ""
}

// named reads what is asked of one companion or setting.
func named(name string, value *yaml.Node, into *map[string]string, wrong func(string) string) string {
	if ok, err := regexp.MatchString(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$`, name); !ok || err != nil {
		return "a name is made of at most 64 letters, digits and . _ / -, and begins with a letter or a digit"
	}
	var asked string
	if why := text(value, &asked); why != "" {
		return why
	}
	if why := wrong(asked); why != "" {
		return why
	}
	if *into == nil {
		*into = map[string]string{}
	}
	(*into)[name] = asked
	return ""
}

func misconstrained(asked string) string {
	if _, err := semver.NewConstraint(asked); err != nil || unprintable(asked) != "" {
		return fmt.Sprintf("%q says no versions; write it as in \">= 3.4, < 3.6\"", asked)
	}
	return ""
}

func unprintable(asked string) string {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if len(asked) > 128 || !utf8.ValidString(asked) || strings.ContainsFunc(asked, odd) {
		return "it must be one line of at most 128 characters"
	}
	return ""
}

// checkRules holds the rules of a package against its version.
func (m Manifest) checkRules() error {
	if m.Rules == nil {
		return nil
	}
	own, err := semver.StrictNewVersion(m.Version)
	if err != nil {
		return refused("%s, field \"version\": %q: %v", manifestName, m.Version, err)
	}
	if from := m.Rules.Lowest; from != "" && !semver.MustParse(from).LessThan(own) {
		return refused("%s, field %q: nothing that runs %s or later can go to %s: name a lower version", manifestName, "reachable.from", from, m.Version)
	}
	for _, line := range m.Rules.Skips {
		first := semver.MustParse(line + ".0")
		if first.GreaterThan(own) || first.Major() == own.Major() && first.Minor() == own.Minor() {
			return refused("%s, field %q: nothing is skipped from %s to %s: name a line below it", manifestName, "reachable.skips", line, m.Version)
		}
	}
	return nil
}

// formatRules is the text that setRule reads.
func formatRules(r *model.Rules) []byte {
	var text bytes.Buffer
	if r == nil {
		return nil
	}
	if r.Lowest != "" || len(r.Skips) > 0 {
		text.WriteString("reachable:\n")
		optional(&text, "from", r.Lowest)
		if len(r.Skips) > 0 {
			fmt.Fprintf(&text, "  skips: [\"%s\"]\n", strings.Join(r.Skips, `", "`))
		}
	}
	if r.Memory > 0 || r.Disk > 0 || r.Backup > 0 || len(r.Companions) > 0 || len(r.Settings) > 0 {
		text.WriteString("requires:\n")
		optional(&text, "memory", FormatSize(r.Memory))
		optional(&text, "disk", FormatSize(r.Disk))
		optional(&text, "backup", FormatAge(r.Backup))
		formatNamed(&text, companions, r.Companions)
		formatNamed(&text, settings, r.Settings)
	}
	return text.Bytes()
}

func optional(text *bytes.Buffer, field, value string) {
	if value != "" {
		fmt.Fprintf(text, "  %s: %s\n", field, value)
	}
}

// formatNamed quotes the values: what was asked for is printable.
func formatNamed(text *bytes.Buffer, field string, asked map[string]string) {
	if len(asked) > 0 {
		fmt.Fprintf(text, "  %s:\n", field)
	}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		fmt.Fprintf(text, "    %s: %q\n", name, asked[name])
	}
}
