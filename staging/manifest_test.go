package staging

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

func TestAManifestIsReadWithAndWithoutV(t *testing.T) {
	for _, version := range []string{"1.1.0", "v1.1.0", `"1.1.0"`} {
		got, err := parseManifest([]byte("# a release\nplatforms:\n- linux/arm64\n- linux/amd64\nversion: " + version + "\nname: theseus\n"))
		want := Manifest{Name: Product, Version: "1.1.0", Platforms: []string{"linux/amd64", "linux/arm64"}}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", version, err, diff)
		}
	}
}

// ruledManifest has every rule, in the order and the words of format.
const ruledManifest = goodManifest + `reachable:
  from: 2.9.5
  skips: ["3.3", "3.4"]
requires:
  memory: 16GiB
  disk: 1536MiB
  backup: 24h
  companions:
    mke: ">= 3.4, < 3.6"
  settings:
    content-trust: "off"
    "note": 'a "quoted" word, and a \\'
`

func ruled(version string) string { return strings.Replace(ruledManifest, "1.1.0", version, 1) }

func TestTheRulesOfAManifestAreReadAndWrittenBack(t *testing.T) {
	want := &model.Rules{Lowest: "2.9.5", Skips: []string{"3.3", "3.4"}, Memory: 16 << 30, Disk: 1536 << 20, Backup: 24 * time.Hour,
		Companions: map[string]string{"mke": ">= 3.4, < 3.6"}, Settings: map[string]string{"content-trust": "off", "note": `a "quoted" word, and a \\`}}
	m, err := parseManifest([]byte(ruled("3.6.0")))
	if diff := cmp.Diff(want, m.Rules); err != nil || diff != "" {
		t.Fatalf("%v\n%s", err, diff)
	}
	again, err := parseManifest(m.format())
	if diff := cmp.Diff(m, again); err != nil || diff != "" {
		t.Errorf("%v\n%s\n%s", err, diff, m.format())
	}
	short, err := parseManifest([]byte("version: 3.11.0\nname: theseus\nplatforms: [linux/amd64]\nreachable: {from: v2.9.5, skips: [3.4, 3.10]}\n" +
		"requires: {memory: 16 GiB, backup: 90m, settings: {content-trust: off}}\n"))
	want = &model.Rules{Lowest: "2.9.5", Skips: []string{"3.10", "3.4"}, Memory: 16 << 30, Backup: 90 * time.Minute, Settings: map[string]string{"content-trust": "off"}}
	if diff := cmp.Diff(want, short.Rules); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestAWrongManifestIsRefusedByTheNameOfTheField(t *testing.T) {
	rows := []struct{ what, text, names string }{
		{"empty", "", "list of fields"},
		{"a comment only", "# nothing\n", "list of fields"},
		{"a text", "theseus 1.1.0", "list of fields"},
		{"a list", "- name: theseus\n", "list of fields"},
		{"no YAML", "name: [theseus", "not YAML"},
		{"two documents", goodManifest + "---\n" + goodManifest, "more than one document"},
		{"no name", "version: 1.1.0\nplatforms: [linux/amd64]\n", `"name"`},
		{"another name", "name: Theseus\nversion: 1.1.0\nplatforms: [linux/amd64]\n", `"name"`},
		{"a name that is a list", "name: [theseus]\nversion: 1.1.0\nplatforms: [linux/amd64]\n", `line 1, field "name"`},
		{"no version", "name: theseus\nplatforms: [linux/amd64]\n", `"version"`},
		{"a version of nothing", "name: theseus\nversion:\nplatforms: [linux/amd64]\n", `line 2, field "version"`},
		{"a version of two numbers", "name: theseus\nversion: 1.1\nplatforms: [linux/amd64]\n", `"version": "1.1"`},
		{"a version with a leading zero", "name: theseus\nversion: 1.01.0\nplatforms: [linux/amd64]\n", `"version"`},
		{"a version beyond counting", "name: theseus\nversion: 1.1." + strings.Repeat("9", 19) + "\nplatforms: [linux/amd64]\n", `"version"`},
		{"a version with something after it", "name: theseus\nversion: \"1.1.0\\n\"\nplatforms: [linux/amd64]\n", `"version"`},
		{"a version map", "name: theseus\nversion: {major: 1}\nplatforms: [linux/amd64]\n", `line 2, field "version"`},
		{"no platforms", "name: theseus\nversion: 1.1.0\n", `"platforms"`},
		{"empty platforms", "name: theseus\nversion: 1.1.0\nplatforms: []\n", `"platforms"`},
		{"platforms that are a text", "name: theseus\nversion: 1.1.0\nplatforms: linux/amd64\n", `line 3, field "platforms"`},
		{"platforms of lists", "name: theseus\nversion: 1.1.0\nplatforms: [[linux, amd64]]\n", `"platforms": item 1`},
		{"a platform of one word", "name: theseus\nversion: 1.1.0\nplatforms: [linux]\n", `"platforms": "linux"`},
		{"a platform that leads out", "name: theseus\nversion: 1.1.0\nplatforms: [../..]\n", `"platforms": "../.."`},
		{"a platform twice", "name: theseus\nversion: 1.1.0\nplatforms: [linux/amd64, linux/amd64]\n", `"platforms": "linux/amd64" is there twice`},
		{"a field that is not known", goodManifest + "min_version: 1.0.0\n", `line 4, field "min_version"`},
		{"a field in capitals", "Name: theseus\nversion: 1.1.0\nplatforms: [linux/amd64]\n", `line 1, field "Name"`},
		{"a field twice", goodManifest + "version: 1.2.0\n", `line 4, field "version"`},
		{"a field of another field's value", "name: &a theseus\nversion: *a\nplatforms: [linux/amd64]\n", `line 2, field "version"`},
		{"reachable without fields", goodManifest + "reachable:\n", `line 4, field "reachable": it must hold fields`},
		{"requires that is empty", goodManifest + "requires: {}\n", `line 4, field "requires"`},
		{"requires of a text", goodManifest + "requires: much\n", `line 4, field "requires"`},
		{"a group twice", goodManifest + "requires: {disk: 1GiB}\nrequires: {disk: 2GiB}\n", `line 5, field "requires": it is there twice`},
		{"a field of a group twice", goodManifest + "requires:\n  disk: 1GiB\n  disk: 2GiB\n", `line 6, field "requires.disk": it is there twice`},
		{"a group's field that is not known", goodManifest + "requires:\n  cpu: 4\n", `line 5, field "requires.cpu": this version does not know it`},
		{"another group's field", goodManifest + "reachable:\n  disk: 1GiB\n", `line 5, field "reachable.disk": this version does not know it`},
		{"a group within the wrong one", goodManifest + "reachable:\n  settings: {a: b}\n", `field "reachable.settings": this version does not know it`},
		{"a path as a field", goodManifest + "reachable.from: 1.0.0\n", `field "reachable.from": this version does not know it`},
		{"a path of a group as a field", goodManifest + "requires.settings: {a: b}\n", `field "requires.settings": this version does not know it`},
		{"a barrier that is no version", goodManifest + "reachable: {from: 1.0}\n", `line 4, field "reachable.from": "1.0" is not`},
		{"a barrier at its own version", goodManifest + "reachable: {from: 1.1.0}\n", `field "reachable.from": nothing that runs 1.1.0 or later`},
		{"a barrier above its own version", goodManifest + "reachable: {from: 1.2.0}\n", `"reachable.from"`},
		{"skips that are a text", goodManifest + "reachable: {skips: 0.3}\n", `"reachable.skips": it must be a list, such as [3.3, 3.4]`},
		{"skips of nothing", goodManifest + "reachable: {skips: []}\n", `"reachable.skips": it is empty`},
		{"a skip from a version", goodManifest + "reachable: {skips: [0.3.1]}\n", `"reachable.skips": "0.3.1" is not a release line`},
		{"a skip from a wild card", goodManifest + "reachable: {skips: [0.x]}\n", `"reachable.skips": "0.x"`},
		{"a skip from a major version", goodManifest + "reachable: {skips: [0]}\n", `"reachable.skips": "0"`},
		{"a skip twice", goodManifest + "reachable: {skips: [0.3, 0.3]}\n", `"reachable.skips": "0.3" is there twice`},
		{"a skip from its own line", goodManifest + "reachable: {skips: [1.1]}\n", `"reachable.skips": nothing is skipped from 1.1`},
		{"a skip from above", goodManifest + "reachable: {skips: [1.2]}\n", `"reachable.skips": nothing is skipped from 1.2`},
		{"memory without a unit", goodManifest + "requires: {memory: 16}\n", `line 4, field "requires.memory": it must be a size such as 16GiB`},
		{"memory in another unit", goodManifest + "requires: {memory: 16GB}\n", `"requires.memory"`},
		{"memory that is negative", goodManifest + "requires: {memory: -1GiB}\n", `"requires.memory"`},
		{"memory of nothing", goodManifest + "requires: {memory: 0GiB}\n", `"requires.memory"`},
		{"memory beyond counting", goodManifest + "requires: {memory: 8388608TiB}\n", `"requires.memory"`},
		{"memory in a list", goodManifest + "requires: {memory: [1GiB]}\n", `"requires.memory"`},
		{"disk in halves", goodManifest + "requires: {disk: 1.5GiB}\n", `"requires.disk"`},
		{"a backup of days", goodManifest + "requires: {backup: 1d}\n", `"requires.backup": it must be a duration such as 24h`},
		{"a backup of no age", goodManifest + "requires: {backup: 0s}\n", `"requires.backup"`},
		{"a backup of less than a second", goodManifest + "requires: {backup: 1ms}\n", `"requires.backup"`},
		{"companions in a list", goodManifest + "requires: {companions: [mke]}\n", `"requires.companions": it must hold fields`},
		{"a companion of any version", goodManifest + "requires:\n  companions:\n    mke: new\n", `line 6, field "requires.companions.mke": "new" says no versions`},
		{"a companion without versions", goodManifest + "requires: {companions: {mke: }}\n", `"requires.companions.mke": it must be a text`},
		{"a companion without a name", goodManifest + "requires: {companions: {\"\": \"> 1\"}}\n", `a name is made of`},
		{"a companion of a merge", goodManifest + "requires: {companions: {<<: {a: \"> 1\"}}}\n", `a name is made of`},
		{"a setting of two lines", goodManifest + "requires: {settings: {a: \"b\\nc\"}}\n", `"requires.settings.a": it must be one line`},
		{"a setting that is a list", goodManifest + "requires: {settings: {a: [b]}}\n", `"requires.settings.a": it must be a text`},
		{"a long setting", goodManifest + "requires: {settings: {a: " + strings.Repeat("b", 129) + "}}\n", `"requires.settings.a"`},
		{"a setting of another field's value", goodManifest + "requires: {settings: {a: &b c, d: *b}}\n", `"requires.settings.d"`},
		{"a merge", "<<: {name: theseus}\nversion: 1.1.0\nplatforms: [linux/amd64]\n", `line 1, field "<<"`},
	}
	for _, r := range rows {
		t.Run(r.what, func(t *testing.T) {
			_, err := parseManifest([]byte(r.text))
			checkProblem(t, err, model.Refused, manifestName, r.names)
		})
	}
}
