package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/theseusd/theseus/"

// floors is the house: what of ours a package may import. Arrows point down.
// What lives below a package's path may do what the package may.
var floors = []struct {
	pkg string
	may []string
}{
	{"cmd/theseusd", []string{"api", "upgrader", "cluster", "store", "staging", "model", "internal"}},
	{"cmd/theseus", []string{"client", "staging", "store/backup", "internal/durable", "model"}},
	{"e2e/demo", []string{"e2e"}},
	{"e2e/bench", []string{"e2e"}},
	{"e2e/chaos", []string{"e2e", "model"}},
	{"e2e", []string{"model"}},
	{"api", []string{"upgrader", "cluster", "staging", "store", "model"}},
	{"upgrader/policy", nil},
	{"upgrader/binary", []string{"model", "internal"}},
	{"upgrader/preflight", []string{"model"}},
	{"upgrader/jobs", []string{"store", "model"}},
	{"upgrader/migrate", []string{"internal"}},
	{"upgrader", []string{"upgrader/policy", "upgrader/binary", "upgrader/preflight", "upgrader/jobs", "upgrader/migrate", "store", "staging", "model", "internal"}},
	{"cluster", []string{"store", "model", "internal"}},
	{"store/backup", []string{"model"}},
	{"store", []string{"store/backup", "model", "internal"}},
	{"staging/catalog", []string{"staging", "model", "internal/durable"}},
	{"staging", []string{"model", "internal/durable"}},
	{"client", []string{"model"}},
	{"model", nil},
	{"internal/crash", nil},
	{"internal/child", nil},
	{"internal/durable", nil},
}

// homes are the libraries that may be spoken to in some packages only.
var homes = map[string][]string{
	"github.com/go-chi/chi":             {"api"},
	"github.com/hashicorp/raft":         {"cluster", "store"},
	"go.etcd.io/bbolt":                  {"store"},
	"github.com/Masterminds/semver":     {"upgrader/policy", "upgrader/preflight", "store", "cluster", "staging", "staging/catalog"},
	"github.com/syndtr/gocapability":    {"upgrader/binary"},
	"aead.dev/minisign":                 {"staging"},
	"github.com/anishathalye/porcupine": {"e2e/chaos"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestArrowsPointDownOnly(t *testing.T) {
	for _, p := range packages(t) {
		mine := strings.TrimPrefix(p.ImportPath, module)
		may, known := allowed(mine)
		if !known {
			t.Errorf("%s stands on no floor", mine)
			continue
		}
		for _, imported := range p.Imports {
			ours, isOurs := strings.CutPrefix(imported, module)
			if isOurs && !below(ours, mine) && !covered(ours, may) {
				t.Errorf("%s must not import %s", mine, ours)
			}
		}
	}
}

func TestLibrariesStayInTheirHomes(t *testing.T) {
	for _, p := range packages(t) {
		mine := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			for library, home := range homes {
				if below(imported, library) && !slices.Contains(home, mine) {
					t.Errorf("%s must not import %s", mine, imported)
				}
			}
		}
	}
}

func packages(t *testing.T) (all []goPackage) {
	t.Helper()
	root, err := sourceTree()
	if err != nil {
		t.Fatal(err)
	}
	out, err := output(t.Context(), root, nil, "go", "list", "-e", "-json=ImportPath,Imports", "./...")
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 2 {
		t.Fatalf("go list knows %d packages only", len(all))
	}
	return all
}

// allowed is the row of the nearest package at or above name.
func allowed(name string) (may []string, known bool) {
	for ; name != "."; name = path.Dir(name) {
		for _, f := range floors {
			if f.pkg == name {
				return f.may, true
			}
		}
	}
	return nil, false
}

// below says whether name is dir or lies below it.
func below(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

func covered(name string, may []string) bool {
	return slices.ContainsFunc(may, func(m string) bool { return below(name, m) })
}
