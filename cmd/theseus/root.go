package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// flags are those of every command.
type flags struct {
	endpoint string
	ca       string
	insecure bool
	output   string
	via      string
}

func rootCommand(a *app) *cobra.Command {
	root := group("theseus", "Operate a Theseus cluster",
		systemCommand(a), profilesCommand(a), infoCommand(a), featuresCommand(a), jobsCommand(a), backupCommand(a), auditCommand(a), packageCommand(a), catalogCommand(a))
	root.Long = "Operate a Theseus cluster.\n\n" + environmentHelp + "\nExit codes:\n" + exitHelp()
	root.Version = a.version
	root.SetVersionTemplate("theseus {{.Version}}\n")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, err) })
	f := root.PersistentFlags()
	f.StringVarP(&a.flags.endpoint, "endpoint", "E", "", "URL of any member")
	f.StringVar(&a.flags.ca, "ca-cert", "", "file with the CA certificate of the cluster")
	f.BoolVarP(&a.flags.insecure, "insecure", "k", false, "take any certificate")
	f.StringVarP(&a.flags.output, "output", "o", "", "json, yaml or table (default: table on a terminal, else json)")
	f.StringVar(&a.flags.output, "format", "", "the same as --output")
	f.StringVar(&a.flags.via, "via", "", "ask this member, by name or id; the endpoint is asked where it is")
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error { return fromEnvironment(c, a.env) }
	nameVariables(root)
	return root
}

// group is a command that only holds others.
func group(name, short string, members ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Args: cobra.ArbitraryArgs}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage(c, fmt.Errorf("unknown command %q", args[0]))
		}
		return usage(c, errors.New("say which command"))
	}
	c.AddCommand(members...)
	return c
}

// leaf is a command that does something; use holds its arguments, so many of
// which must be given.
func leaf(use, short string, least, most int, run func(c *cobra.Command, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, RunE: run, DisableFlagsInUseLine: true, Args: func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usage(c, fmt.Errorf("want: %s", c.UseLine()))
		}
		return nil
	}}
}

// usageError is what the person who typed the command can put right.
type usageError struct {
	path string
	err  error
}

// usage adds the variable where a flag that err is about was not typed.
func usage(c *cobra.Command, err error) error {
	if names := ofEnvironment(c, err.Error()); len(names) > 0 {
		err = fmt.Errorf("%w; it is from %s", err, strings.Join(names, ", "))
	}
	return &usageError{c.CommandPath(), err}
}

func (e *usageError) Error() string {
	return fmt.Sprintf("%v (%s --help says more)", e.err, e.path)
}

func (e *usageError) Unwrap() error { return e.err }
