package staging

import (
	"strings"
	"testing"

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
		{"a merge", "<<: {name: theseus}\nversion: 1.1.0\nplatforms: [linux/amd64]\n", `line 1, field "<<"`},
	}
	for _, r := range rows {
		t.Run(r.what, func(t *testing.T) {
			_, err := parseManifest([]byte(r.text))
			checkProblem(t, err, model.Refused, manifestName, r.names)
		})
	}
}
