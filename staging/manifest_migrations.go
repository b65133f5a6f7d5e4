package staging

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/theseusd/theseus/model"
)

// migrations is the field that lists what a package brings to move the data.
const migrations = "migrations"

// migrationsLimit is how many a package may bring: each may hold up an upgrade.
const migrationsLimit = 32

// readMigrations reads the list, and puts it in the order in which it runs.
func (m *Manifest) readMigrations(key, value *yaml.Node) error {
	switch {
	case value.Kind != yaml.SequenceNode:
		return misfield("", key, "it must be a list of fields, such as [{name: item-form, phase: migrate}]")
	case len(value.Content) == 0:
		return misfield("", key, "it is empty: leave it out")
	case len(value.Content) > migrationsLimit:
		return misfield("", key, fmt.Sprintf("it lists %d, more than %d, the limit: have one do the work of several", len(value.Content), migrationsLimit))
	}
	for i, item := range value.Content {
		one, err := readMigration(item, i+1)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(m.Migrations, func(other model.Migration) bool { return other.Name == one.Name }) {
			return misitem(item, "", i+1, fmt.Sprintf("there are two of the name %q: rename one", one.Name))
		}
		m.Migrations = append(m.Migrations, one)
	}
	order := model.MigrationPhases()
	slices.SortStableFunc(m.Migrations, func(a, b model.Migration) int {
		return cmp.Compare(slices.Index(order, a.Phase), slices.Index(order, b.Phase))
	})
	return nil
}

// readMigration reads the item of that number.
func readMigration(item *yaml.Node, number int) (one model.Migration, err error) {
	if item.Kind != yaml.MappingNode {
		return one, misitem(item, "", number, "it must hold fields, such as {name: item-form, phase: migrate}")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(item.Content); i += 2 {
		key, value := item.Content[i], item.Content[i+1]
		why := setMigration(&one, key.Value, value)
		if seen[key.Value] {
			why = "it is there twice: keep one"
		}
		if why != "" {
			return one, misitem(key, key.Value, number, why)
		}
		seen[key.Value] = true
	}
	switch {
	case one.Name == "":
		return one, misitem(item, "name", number, "it is missing; it must be a name such as item-form")
	case one.Phase == "":
		return one, misitem(item, "phase", number, "it is missing; it must be expand, migrate, contract or task")
	}
	return one, nil
}

// misitem refuses what stands at a place: a field of a migration, or all of it.
func misitem(at *yaml.Node, field string, number int, why string) error {
	name := migrations
	if field != "" {
		name = dotted(migrations, field)
	}
	return refused("%s, line %d, field %q: item %d: %s", manifestName, at.Line, name, number, why)
}

// setMigration reads one field, as set does.
func setMigration(one *model.Migration, field string, value *yaml.Node) string {
	switch field {
	case "name":
		return migrationNamed(value, &one.Name)
	case "phase":
		return migrationPhase(value, &one.Phase)
	case "memory":
		return bytesOf(value, &one.Memory)
	case "deadline":
		return age(value, &one.Deadline)
	}
	return unknownField
}

// migrationNamed reads the name of a migration, which becomes that of a file and
// of the action of a job.
func migrationNamed(value *yaml.Node, into *string) string {
	if why := text(value, into); why != "" {
		return why
	}
	switch *into {
	case "verify", "backup":
		return fmt.Sprintf("%q is a job that every cluster has: choose another name", *into)
	}
	if ok, err := regexp.MatchString(`^[a-z0-9][a-z0-9-]{0,39}$`, *into); !ok || err != nil {
		return fmt.Sprintf("%q is no name of a migration: use at most 40 small letters, digits and dashes, and begin with a letter or a digit", *into)
	}
	return ""
}

func migrationPhase(value *yaml.Node, into *model.MigrationPhase) string {
	var word string
	if why := text(value, &word); why != "" {
		return why
	}
	*into = model.MigrationPhase(word)
	if !slices.Contains(model.MigrationPhases(), *into) {
		return fmt.Sprintf("%q is no phase: use expand, migrate, contract or task", word)
	}
	return ""
}

// formatMigrations is the text that readMigrations reads. A name is quoted: 1e3
// and null are names, too.
func formatMigrations(all []model.Migration) []byte {
	var text bytes.Buffer
	if len(all) > 0 {
		fmt.Fprintf(&text, "%s:\n", migrations)
	}
	for _, one := range all {
		fmt.Fprintf(&text, "  - name: %q\n    phase: %s\n", one.Name, one.Phase)
		if size := FormatSize(one.Memory); size != "" {
			fmt.Fprintf(&text, "    memory: %s\n", size)
		}
		if limit := FormatAge(one.Deadline); limit != "" {
			fmt.Fprintf(&text, "    deadline: %s\n", limit)
		}
	}
	return text.Bytes()
}
