package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

var sha = strings.Repeat("ab", 32)

// entry is an item in the index, with one of its lines replaced or added.
func entry(lines ...string) string {
	all := []string{"name: theseus", "version: 1.1.0", "channel: stable", "file: theseus.zip", "size: 5", "sha256: " + sha, "platforms: [linux/amd64]"}
	for _, line := range lines {
		field, _, _ := strings.Cut(line, ":")
		i := slices.IndexFunc(all, func(l string) bool { return strings.HasPrefix(l, field+":") })
		if i < 0 {
			all = append(all, line)
			continue
		}
		all[i] = line
	}
	return "  - " + strings.Join(all, "\n    ") + "\n"
}

func TestAnIndexThatBreaksARuleIsRefused(t *testing.T) {
	long := strings.Repeat("x", 1001)
	for name, c := range map[string]struct {
		lines []string // of its one item
		text  string   // or the whole
		word  string
	}{
		"no YAML":                {text: "items: [", word: "line 1"},
		"another shape":          {text: "items: 5\n", word: "cannot be read"},
		"an unknown field":       {lines: []string{"since: 1.0.0"}, word: "field since not found"},
		"a field twice":          {text: "items: []\nitems: []\n", word: "already defined"},
		"two documents":          {text: "items: []\n---\nitems: []\n", word: "more than one document"},
		"something at its end":   {text: "items: []\n---\n]", word: "more than one document"},
		"no name":                {lines: []string{"name:"}, word: `name ""`},
		"a name with a hyphen":   {lines: []string{"name: a-b"}, word: `name "a-b"`},
		"a name in capitals":     {lines: []string{"name: Theseus"}, word: `name "Theseus"`},
		"no version":             {lines: []string{"version:"}, word: `version ""`},
		"a short version":        {lines: []string{"version: 1.10"}, word: `version "1.10"`},
		"a version with v":       {lines: []string{"version: v1.1.0"}, word: "without v"},
		"no channel":             {lines: []string{"channel:"}, word: `channel ""`},
		"a channel like version": {lines: []string{"channel: 1.1.0"}, word: `channel "1.1.0"`},
		"no file":                {lines: []string{"file:"}, word: `file ""`},
		"a file above":           {lines: []string{"file: ../theseus.zip"}, word: "below the catalog"},
		"a file through above":   {lines: []string{"file: a/../../theseus.zip"}, word: "below the catalog"},
		"an absolute file":       {lines: []string{"file: /etc/passwd"}, word: "below the catalog"},
		"an address as file":     {lines: []string{"file: http://elsewhere/theseus.zip"}, word: "below the catalog"},
		"an escaped file":        {lines: []string{"file: '%2e%2e/theseus.zip'"}, word: "below the catalog"},
		"a question in a file":   {lines: []string{"file: theseus.zip?a=b"}, word: "below the catalog"},
		"a backslash in a file":  {lines: []string{`file: '..\theseus.zip'`}, word: "below the catalog"},
		"a hidden file":          {lines: []string{"file: .theseus.zip"}, word: "below the catalog"},
		"an empty part of one":   {lines: []string{"file: a//theseus.zip"}, word: "below the catalog"},
		"the index as file":      {lines: []string{"file: catalog.yaml"}, word: "below the catalog"},
		"no size":                {lines: []string{"size:"}, word: "size 0"},
		"a negative size":        {lines: []string{"size: -1"}, word: "size -1"},
		"a size beyond all":      {lines: []string{"size: 2147483649"}, word: "size 2147483649"},
		"no sha256":              {lines: []string{"sha256:"}, word: `sha256 ""`},
		"a short sha256":         {lines: []string{"sha256: abcd"}, word: `sha256 "abcd"`},
		"a sha256 of others":     {lines: []string{"sha256: " + strings.Repeat("xy", 32)}, word: "hex digits"},
		"no platforms":           {lines: []string{"platforms: []"}, word: "at least one"},
		"half a platform":        {lines: []string{"platforms: [linux]"}, word: `"linux"`},
		"a platform twice":       {lines: []string{"platforms: [a/b, a/b]"}, word: "twice"},
		"a long description":     {lines: []string{"description: " + long}, word: "one line"},
		"two lines of it":        {lines: []string{`description: "a\nb"`}, word: "one line"},
		"one that steers":        {lines: []string{`description: "\e[2J"`}, word: "one line"},
		"a version twice":        {text: "items:\n" + entry("file: a.zip") + entry("file: b.zip"), word: "a.zip and theseus-1.1.0 as b.zip"},
		"two builds of one":      {text: "items:\n" + entry("version: 1.1.0+a") + entry("version: 1.1.0+b"), word: "neither is the newer"},
	} {
		t.Run(name, func(t *testing.T) {
			text := c.text
			if text == "" {
				text = "items:\n" + entry("name: other") + entry(c.lines...)
			}
			_, err := parseIndex([]byte(text))
			refusal(t, err, model.Refused, indexName, c.word)
		})
	}
}

func TestAnIndexOverALimitIsRefused(t *testing.T) {
	var many strings.Builder
	many.WriteString("items:\n")
	for i := range itemsLimit + 1 {
		fmt.Fprint(&many, "  - {name: a, version: 1.0.", i, ", channel: stable, file: a, size: 1, sha256: ", sha, ", platforms: [a/b]}\n")
	}
	_, err := parseIndex([]byte(many.String()))
	refusal(t, err, model.TooLarge, "10001")

	s := newStall(t)
	s.sign(s.text(indexName) + strings.Repeat("#", indexLimit))
	s.both(func(t *testing.T, where string) {
		_, err := Open(t.Context(), where, s.trust)
		refusal(t, err, model.TooLarge, where, "4194304")
	})
}

func TestAnEmptyIndexIsAnEmptyCatalog(t *testing.T) {
	for _, text := range []string{"", "items:\n", "items: []\n", "# nothing\n"} {
		if items, err := parseIndex([]byte(text)); len(items) != 0 || err != nil {
			t.Errorf("%q: %v, %v", text, items, err)
		}
	}
}

func TestItemsAreInTheOrderOfTheirVersions(t *testing.T) {
	text := "items:\n"
	for _, v := range []string{"1.9.0", "1.10.0-rc.2", "1.10.0", "1.10.0-rc.10", "0.1.0"} {
		text += entry("version: " + v)
	}
	items, err := parseIndex([]byte(text + entry("name: another")))
	check(t, err)
	var got []string
	for _, it := range items {
		got = append(got, it.Reference())
	}
	want := []string{"another-1.1.0", "theseus-1.10.0", "theseus-1.10.0-rc.10", "theseus-1.10.0-rc.2", "theseus-1.9.0", "theseus-0.1.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What can be read can be written and read again, and whatever is read keeps the
// rules that opening a file relies on.
func FuzzIndex(f *testing.F) {
	f.Add("items:\n" + entry())
	f.Add("items:\n" + entry("version: 1.2.0-rc.1+b", `description: "a: #b"`, "file: a/b+c.zip") + entry("sha256: '"+strings.Repeat("12", 32)+"'"))
	f.Add("items: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		items, err := parseIndex([]byte(text))
		if err != nil {
			return
		}
		for _, it := range items {
			if strings.Contains(it.File, "..") && slices.Contains(strings.Split(it.File, "/"), "..") || strings.HasPrefix(it.File, "/") {
				t.Errorf("the file %q leads out", it.File)
			}
		}
		again, err := formatIndex(items)
		check(t, err)
		got, err := parseIndex(again)
		check(t, err)
		if diff := cmp.Diff(items, got); diff != "" && len(items) > 0 {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
