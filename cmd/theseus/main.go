// Command theseus operates a Theseus cluster from a terminal or a script.
//
// Data goes to stdout and to nothing else; messages, progress and errors go to
// stderr. On a terminal data is a table, elsewhere JSON, or as -o says. Only an
// upgrade without a FILE, on a terminal, asks questions (interactive.go). What an
// exit code means is in exit.go.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

// version is set by the linker and handed down from here.
var version = "0.0.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(run(ctx, newApp(), os.Args[1:]))
}

// newApp is the outside world as this process has it.
func newApp() *app {
	return &app{
		version: version, env: os.Getenv, patience: 5 * time.Second,
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		inTerminal: terminal(os.Stdin) && terminal(os.Stderr), outTerminal: terminal(os.Stdout), errTerminal: terminal(os.Stderr), width: width,
	}
}

// run does what args say and answers the exit code.
func run(ctx context.Context, a *app, args []string) int {
	root := rootCommand(a)
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil && !errors.Is(err, context.Canceled) {
		err = ctx.Err() // the interrupt broke something else
	}
	report(a.stderr, err)
	return exitCode(err)
}

// app is one run of the program: the outside world and what the flags said.
type app struct {
	version  string
	env      func(string) string
	patience time.Duration // how long a read is tried again
	stdin    io.Reader
	stdout   io.Writer
	stderr   io.Writer

	inTerminal, outTerminal, errTerminal bool
	width                                func() int // columns of the terminal

	flags flags
	typed string // user:password that a person was asked for
}

// terminal says whether f is a terminal on which a line can be drawn again.
func terminal(f *os.File) bool {
	return os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

func width() int {
	columns, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || columns < 1 {
		return 80
	}
	return columns
}
