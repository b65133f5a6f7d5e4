package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// taken are variables that mean something else than the flag of their name.
func taken() []string { return []string{"THESEUS_KEY", "THESEUS_TOKEN"} }

// fromVariable is the annotation of a flag that the environment has set.
const fromVariable = "environment"

// variable is the environment variable of a flag, or "" if it has none. A flag
// whose variable would be that of another one has the words of its command in it.
func variable(c *cobra.Command, f *pflag.Flag) string {
	if f.Name == "help" || f.Name == "version" && !c.HasParent() {
		return ""
	}
	name := spelled(c.Root().Name(), f.Name)
	global := c.Root().PersistentFlags().Lookup(f.Name)
	if global != nil && global != f || slices.Contains(taken(), name) {
		return spelled(append(strings.Fields(c.CommandPath()), f.Name)...)
	}
	return name
}

func spelled(words ...string) string {
	return strings.ToUpper(strings.ReplaceAll(strings.Join(words, "_"), "-", "_"))
}

// fromEnvironment sets the flags of c that the command line leaves open. One that
// shares its value with a flag that was given is left alone.
func fromEnvironment(c *cobra.Command, env func(string) string) error {
	var given []pflag.Value
	c.Flags().Visit(func(f *pflag.Flag) { given = append(given, f.Value) })
	var errs []error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		name := variable(c, f)
		if name == "" || env(name) == "" || slices.Contains(given, f.Value) {
			return
		}
		given = append(given, f.Value)
		errs = append(errs, setFrom(c, f, name, env(name)))
	})
	if err := errors.Join(errs...); err != nil {
		return usage(c, err)
	}
	return nil
}

// setFrom splits a list at its commas, whichever kind of list it is.
func setFrom(c *cobra.Command, f *pflag.Flag, name, text string) error {
	f.Annotations = map[string][]string{fromVariable: {name}}
	if list, is := f.Value.(pflag.SliceValue); is {
		f.Changed = true
		return list.Replace(strings.Split(text, ","))
	}
	err := c.Flags().Set(f.Name, text)
	var bad *pflag.InvalidValueError
	switch {
	case err != nil && f.Value.Type() == "bool":
		return fmt.Errorf("%s %q: want true or false", name, text)
	case errors.As(err, &bad):
		return fmt.Errorf("%s %q: %w", name, text, bad.Unwrap())
	}
	return err
}

// ofEnvironment are the variables that c took flags from which text speaks of.
func ofEnvironment(c *cobra.Command, text string) (names []string) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r != '-' && r != '_' && !unicode.IsLetter(r) })
	for i, w := range words {
		words[i] = strings.TrimLeft(w, "-")
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		for _, name := range f.Annotations[fromVariable] {
			if slices.Contains(words, f.Name) && !slices.Contains(words, name) {
				names = append(names, name)
			}
		}
	})
	return names
}

// nameVariables adds to the help of each flag what variable it has.
func nameVariables(c *cobra.Command) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if name := variable(c, f); name != "" && !strings.HasSuffix(f.Usage, "]") {
			f.Usage += " [" + name + "]"
		}
	})
	for _, sub := range c.Commands() {
		nameVariables(sub)
	}
}
