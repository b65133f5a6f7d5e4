package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// everyCommand is root and all below it, as the help shows them.
func everyCommand(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, everyCommand(sub)...)
	}
	return all
}

// allFlags of a command, those of every command too.
func allFlags(c *cobra.Command) (all []*pflag.Flag) {
	c.InheritedFlags() // has cobra gather them
	c.Flags().VisitAll(func(f *pflag.Flag) { all = append(all, f) })
	return all
}

// another is a value that a flag of a type can have, and not its default.
func another(t *testing.T, f *pflag.Flag) (text, value string) {
	switch kind := f.Value.Type(); kind {
	case "string":
		return "some text", "some text"
	case "bool":
		return "true", "true"
	case "int", "int64", "uint64":
		return "7", "7"
	case "duration":
		return "17m", "17m0s"
	case "stringSlice", "stringArray":
		return "one,two", "[one,two]"
	default:
		t.Fatalf("no value for --%s, a %s", f.Name, kind)
		return "", ""
	}
}

func TestEveryFlagOfEveryCommandIsReadFromTheEnvironment(t *testing.T) {
	count := 0
	for i, c := range everyCommand(rootCommand(&app{})) {
		for j, f := range allFlags(c) {
			name := variable(c, f)
			if name == "" {
				continue
			}
			count++
			fresh := everyCommand(rootCommand(&app{}))[i] // flags keep what they are set to
			g := allFlags(fresh)[j]
			text, want := another(t, g)
			if err := fromEnvironment(fresh, func(asked string) string {
				if asked == name {
					return text
				}
				return ""
			}); err != nil {
				t.Errorf("%s --%s: %v", c.CommandPath(), f.Name, err)
			}
			if got := g.Value.String(); got != want || !g.Changed {
				t.Errorf("%s --%s from %s: %q, want %q", c.CommandPath(), f.Name, name, got, want)
			}
			if !strings.HasSuffix(f.Usage, "["+name+"]") {
				t.Errorf("%s --%s: the help does not name %s: %s", c.CommandPath(), f.Name, name, f.Usage)
			}
		}
	}
	if count < 150 {
		t.Errorf("%d flags: the table is not whole", count)
	}
}

func TestNoVariableMeansTwoThings(t *testing.T) {
	for _, c := range everyCommand(rootCommand(&app{})) {
		var seen []string
		for _, f := range allFlags(c) {
			name := variable(c, f)
			if name != "" && (slices.Contains(seen, name) || slices.Contains(taken(), name)) {
				t.Errorf("%s --%s: %s is taken", c.CommandPath(), f.Name, name)
			}
			seen = append(seen, name)
		}
	}
	for name, want := range map[string]string{"key": "THESEUS_PACKAGE_BUILD_KEY", "output": "THESEUS_PACKAGE_BUILD_OUTPUT",
		"on-failure": "THESEUS_ON_FAILURE", "endpoint": "THESEUS_ENDPOINT", "bin": "THESEUS_BIN"} {
		path := []string{"package", "build"}
		if name == "on-failure" {
			path = []string{"system", "upgrade", "start"}
		}
		c, _, err := rootCommand(&app{}).Find(path)
		if err != nil {
			t.Fatal(err)
		}
		allFlags(c)
		if got := variable(c, c.Flags().Lookup(name)); got != want {
			t.Errorf("--%s: %s, want %s", name, got, want)
		}
	}
}

func TestWhatIsGivenGoesBeforeTheEnvironment(t *testing.T) {
	c, _, err := rootCommand(&app{}).Find([]string{"system", "upgrade", "start"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ParseFlags([]string{"--deadline", "5m", "--format", "json"}); err != nil {
		t.Fatal(err)
	}
	if err := fromEnvironment(c, func(string) string { return "17m" }); err == nil {
		t.Error("17m is taken for a number and for yes")
	}
	for name, want := range map[string]string{"deadline": "5m0s", "output": "json", "format": "json", "probation": "17m0s"} {
		if got := c.Flags().Lookup(name).Value.String(); got != want {
			t.Errorf("--%s: %s, want %s", name, got, want)
		}
	}
}
