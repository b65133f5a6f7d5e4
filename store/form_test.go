package store

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// form lists the fields that JSON of a type always has, those below them too, as
// path and kind. What is left out while it is empty does not count.
func form(path string, t reflect.Type) (all []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return form(path, t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous:
				all = append(all, form(path, f.Type)...)
				continue
			case name == "-" || strings.HasPrefix(rest, "omit"):
				continue
			case name == "":
				name = f.Name
			}
			all = append(all, fmt.Sprintf("%s.%s %s", path, name, f.Type.Kind()))
			all = append(all, form(path+"."+name, f.Type)...)
		}
	}
	return all
}

// What protocol level 0 writes is read strictly by builds that exist: a field
// more in a command stops them, and so does one in a record that comes with a
// snapshot. The list was made by the last build that knew no levels; it stays.
func TestWhatTheFirstLevelWritesKeepsItsForm(t *testing.T) {
	var now []string
	for name, row := range ops() {
		if row.level == 0 && name != OpClusterLevel { // which only comes when every member knows it
			now = append(now, "command "+string(name))
			now = append(now, form("command "+string(name), reflect.TypeOf(row.sample))...)
		}
	}
	for name, r := range map[string]any{"cluster": model.Cluster{}, "staging": model.Staging{}, "upgrade": model.Upgrade{},
		"member": model.Member{}, "user": model.User{}, "token": model.Token{}, "profile": model.Profile{}} {
		now = append(now, form("record "+name, reflect.TypeOf(r))...)
	}
	slices.Sort(now)
	raw, err := os.ReadFile("testdata/level-0.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(raw)), "\n"), now); diff != "" {
		t.Errorf("earlier builds cannot read this (give new commands a level, and new fields omitempty): %s", diff)
	}
}
