package staging

import (
	"path"
	"slices"
	"strings"
)

const nameLimit = 240

// misnamed says what is wrong with the name of a file in a package, or "". Only
// printable ASCII is taken: what one system shows alike another may store as two
// files, and sha256sum has an escape of its own for the rest.
func misnamed(name string) string {
	switch {
	case name == "":
		return "it has no name"
	case len(name) > nameLimit:
		return "its name is too long"
	case strings.HasPrefix(name, "/"):
		return "its path is absolute"
	case strings.Contains(name, `\`):
		return "its path has a backslash"
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }):
		return "its name has characters other than printable ASCII"
	case len(name) > 1 && name[1] == ':':
		return "its path names a drive"
	case slices.Contains(strings.Split(name, "/"), ".."):
		return "its path leads out of the package with .."
	case path.Clean(name) != name || name == ".":
		return "its path is not in its shortest form"
	}
	return ""
}

// collision says which of the names, in any order, cannot lie in one directory
// on every system: twice the same, alike but for case, or a file where another
// has its directory. Directories end in a slash.
func collision(names []string) (first, second string) {
	seen := map[string]string{} // by folded name, without the slash
	for _, name := range names {
		folded := strings.ToLower(strings.TrimSuffix(name, "/"))
		if other, twice := seen[folded]; twice {
			return other, name
		}
		seen[folded] = name
	}
	for _, name := range names {
		folded := strings.ToLower(strings.TrimSuffix(name, "/"))
		for dir := path.Dir(folded); dir != "."; dir = path.Dir(dir) {
			if other, there := seen[dir]; there && !strings.HasSuffix(other, "/") {
				return other, name
			}
		}
	}
	return "", ""
}
