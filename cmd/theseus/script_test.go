package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"theseus": func() {
		a := newApp()
		a.patience = time.Second
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		code := run(ctx, a, os.Args[1:])
		stop()
		os.Exit(code)
	}})
}

// A script without a file answers has no server to talk to.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, Setup: serveAnswers,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": holdCode, "requests": requests},
	})
}

func serveAnswers(e *testscript.Env) error {
	e.Setenv("GORACE", os.Getenv("GORACE")) // a script's environment is empty
	if _, err := os.Stat(filepath.Join(e.WorkDir, "answers")); err != nil {
		return nil
	}
	r := play(e.T(), e.WorkDir)
	e.Defer(r.Close)
	e.Values["recording"] = r
	e.Setenv("URL", r.URL)
	e.Setenv("THESEUS_ENDPOINT", r.URL)
	e.Setenv("THESEUS_CA_CERT", filepath.Join(e.WorkDir, "ca.pem"))
	e.Setenv("THESEUS_KEY", "admin:secret")
	return nil
}

// holdCode: exits CODE PROGRAM ARGS...: run it and hold it to the code.
func holdCode(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		got = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// requests FILE: write what the server was asked so far.
func requests(ts *testscript.TestScript, neg bool, args []string) {
	r := ts.Value("recording").(*recording)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(r.requests()), 0o600))
}
