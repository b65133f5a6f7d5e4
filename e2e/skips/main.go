// Command skips reads what `go test -json` prints, shows what a person wants to
// see of it, and fails when a test failed, or was skipped without standing in
// the list that is its one argument. A line of the list is
//
//	package test reason…
//
// and blank lines and lines that begin with # are left out.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go test -json … | skips LIST")
		os.Exit(2)
	}
	list, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = run(os.Stdin, list, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		os.Exit(1)
	}
}

// event is one line of test2json's output, see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build that failed
	Test       string
	Elapsed    float64
	Output     string
}

func (e event) name() string { return strings.TrimSpace(e.Package + " " + e.Test) }

func run(in io.Reader, list []byte, w io.Writer) error {
	allowed, err := parse(list)
	if err != nil {
		return err
	}
	j := judge{w: w, output: map[string][]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(w, lines.Text()) // the go command speaks
			continue
		}
		j.take(e)
	}
	return errors.Join(lines.Err(), j.verdict(allowed))
}

// parse reads the list; a line without a reason is an error.
func parse(list []byte) (allowed []string, err error) {
	for line := range bytes.Lines(list) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 3 {
			return nil, fmt.Errorf("the list of skips: %q: want package, test and reason", strings.TrimSpace(string(line)))
		}
		allowed = append(allowed, fields[0]+" "+fields[1])
	}
	return allowed, nil
}

// judge takes events and remembers what matters.
type judge struct {
	w               io.Writer
	output          map[string][]string // of tests not over yet, by name
	passed          int
	failed, skipped []string
}

func (j *judge) take(e event) {
	switch e.Action {
	case "output", "build-output":
		name := e.name() + e.ImportPath
		j.output[name] = append(j.output[name], e.Output)
	case "pass":
		j.passed++
		j.end(e, false)
	case "skip":
		if e.Test != "" { // a package without tests is no skip
			j.skipped = append(j.skipped, e.name())
		}
		j.end(e, e.Test != "")
	case "fail", "build-fail":
		j.failed = append(j.failed, e.name()+e.ImportPath)
		j.end(e, true)
	}
}

// end shows a test's output if somebody wants to see it, and one line a package.
func (j *judge) end(e event, show bool) {
	name := e.name() + e.ImportPath
	if show {
		fmt.Fprint(j.w, strings.Join(j.output[name], ""))
	}
	delete(j.output, name)
	if e.Test == "" && e.Package != "" {
		fmt.Fprintf(j.w, "%-4s  %s  %.1fs\n", e.Action, e.Package, e.Elapsed)
	}
}

func (j *judge) verdict(allowed []string) error {
	var errs []error
	for _, name := range j.failed {
		errs = append(errs, fmt.Errorf("%s failed", name))
	}
	for _, name := range j.skipped {
		if !slices.Contains(allowed, name) {
			errs = append(errs, fmt.Errorf("%s was skipped and is not on the list of skips", name))
		}
	}
	for name := range j.output {
		errs = append(errs, fmt.Errorf("%s did not end", name))
	}
	if j.passed == 0 {
		errs = append(errs, errors.New("no test passed"))
	}
	return errors.Join(errs...)
}
