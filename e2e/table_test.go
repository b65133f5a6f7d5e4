package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A row of a table that names a test is held by a test that exists.
func TestTheTestsThatTheTableNamesAreThere(t *testing.T) {
	root, there := shop.Root(), tests(t)
	for file, least := range map[string]int{"digital-rebar.md": 40, "reliability.md": 60, "registries.md": 30} {
		table := string(must[[]byte](t)(os.ReadFile(filepath.Join(root, "docs", file))))
		named := regexp.MustCompile("`(?:e2e:)?(Test\\w+)(?:/\\w+)?`").FindAllStringSubmatch(table, -1)
		if len(named) < least {
			t.Errorf("%s names %d tests only", file, len(named))
		}
		for _, n := range named {
			if !there[n[1]] {
				t.Errorf("%s: there is no test %s", file, n[1])
			}
		}
	}
}

// Every failure of the field and every rule has its place in docs/reliability.md.
func TestEveryFaultAndEveryRuleHasARow(t *testing.T) {
	text := string(must[[]byte](t)(os.ReadFile(filepath.Join(shop.Root(), "docs", "reliability.md"))))
	for n := range 25 {
		if !regexp.MustCompile(fmt.Sprintf(`\bF%d\b`, n+1)).MatchString(text) {
			t.Errorf("F%d is not there", n+1)
		}
	}
	for n := range 29 {
		if !strings.Contains(text, fmt.Sprintf("| S%d |", n+1)) {
			t.Errorf("S%d is not there", n+1)
		}
	}
}

// tests are the names of all tests there are.
func tests(t *testing.T) map[string]bool {
	t.Helper()
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
	return there
}
