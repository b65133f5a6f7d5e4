package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A row of the table that names a test is held by a test that exists.
func TestTheTestsThatTheTableNamesAreThere(t *testing.T) {
	root := shop.Root()
	there := map[string]bool{}
	check(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, f := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(must[[]byte](t)(os.ReadFile(path))), -1) {
			there[f[1]] = true
		}
		return nil
	}))
	table := string(must[[]byte](t)(os.ReadFile(filepath.Join(root, "docs", "digital-rebar.md"))))
	named := regexp.MustCompile("`(?:e2e:)?(Test\\w+)(?:/\\w+)?`").FindAllStringSubmatch(table, -1)
	if len(named) < 40 {
		t.Errorf("the table names %d tests only", len(named))
	}
	for _, n := range named {
		if !there[n[1]] {
			t.Errorf("there is no test %s", n[1])
		}
	}
}
