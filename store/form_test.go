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

// What a protocol level writes is read strictly by builds that exist: a field more
// in a command stops them, and so does one in a record that comes with a snapshot.
// Each list was made by the last build that knew no later level; it stays.
func TestWhatALevelWritesKeepsItsForm(t *testing.T) {
	records := []map[string]any{
		{"cluster": model.Cluster{}, "staging": model.Staging{}, "upgrade": model.Upgrade{},
			"member": model.Member{}, "user": model.User{}, "token": model.Token{}, "profile": model.Profile{}},
		{"canary": model.Canary{}, "job": model.Job{}, "backup": model.Backup{}},
		{"migration": model.Migration{}, "job of a migration": model.JobMigration{}, "conversion": Converted{}},
		{"act": actRecord{}},
	}
	if len(records) != Level+1 {
		t.Fatalf("%d levels are held, and there are %d: freeze the one before when a level is added", len(records), Level+1)
	}
	for level, kinds := range records {
		var now []string
		for name, row := range ops() {
			known := row.level == level
			if name == OpClusterLevel { // it only comes when every member knows it
				known = level == 1
			}
			if known {
				now = append(now, "command "+string(name))
				now = append(now, form("command "+string(name), reflect.TypeOf(row.sample))...)
			}
		}
		for name, r := range kinds {
			now = append(now, form("record "+name, reflect.TypeOf(r))...)
		}
		slices.Sort(now)
		file := fmt.Sprintf("testdata/level-%d.txt", level)
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(raw)), "\n"), now); diff != "" {
			t.Errorf("builds that know no later level than %d cannot read this (give new commands a level, and new fields omitempty): %s", level, diff)
		}
	}
}
