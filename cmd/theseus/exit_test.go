package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

func TestEveryWayToEndHasItsCode(t *testing.T) {
	failed := func(final string, steps ...model.Step) error {
		u := client.Upgrade{Status: "failed", FinalState: final}
		for _, s := range steps {
			u.Nodes = append(u.Nodes, client.Node{Step: string(s)})
		}
		return &upgradeFailed{u}
	}
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{os.ErrNotExist, 1},
		{&model.Error{Code: 400}, 1},
		{&model.Error{Code: 413}, 1},
		{&model.Error{Code: 500}, 1},
		{model.Problemf(model.Malformed, "not a zip archive"), 1},
		{client.ErrCleared, 1},
		{failed("n2: not back", model.Done, model.Broken), 1},
		{failed("n2: not back, n3 went back", model.Reverted, model.Broken), 1},
		{failed("n1: no room", model.Waiting), 1},
		{&usageError{"theseus", errors.New("what?")}, 2},
		{&model.Error{Code: 404}, 3},
		{&model.Error{Code: 401}, 4},
		{&model.Error{Code: 403}, 4},
		{&model.Error{Code: 429}, 4},
		{&model.Error{Code: 503}, 5},
		{&client.Unreachable{Err: errors.New("refused")}, 5},
		{&followBroken{&client.Unreachable{Err: errors.New("refused")}}, 5},
		{&model.Error{Code: 409}, 6},
		{&model.Error{Code: 412}, 6},
		{&model.Error{Code: 422}, 6},
		{model.Problemf(model.Refused, "not signed"), 6},
		{failed("n2: died three times", model.Done, model.Reverted), 7},
		{failed("rolled back to 1.0.0"), 7},
		{&upgradeFailed{client.Upgrade{RollBack: "done", Nodes: []client.Node{{Step: "failed"}}}}, 7},
		{&upgradeFailed{client.Upgrade{RollBack: "failed", Nodes: []client.Node{{Step: "reverted"}}}}, 8},
		{context.DeadlineExceeded, 124},
		{&model.Error{Code: 504}, 124},
		{context.Canceled, 130},
		{&client.Unreachable{Err: fmt.Errorf("ask: %w", context.Canceled)}, 130},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("wrapped: %w", err)
		}
		if got := exitCode(err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}

func TestErrorsReadAsThoseOfDigitalRebar(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{&model.Error{Type: "CREATE", Model: "profiles", Key: "p1", Messages: []string{"already exists"}}, "Error: CREATE: profiles/p1: already exists\n"},
		{&model.Error{Type: "ValidationError", Model: "profiles", Key: "x", Messages: []string{"a", "b", "c"}}, "Error: ValidationError: profiles/x\n  a\n  b\n  c\n"},
		{&model.Error{Type: "API_ERROR", Model: "profiles", Messages: []string{"no key given"}}, "Error: API_ERROR: profiles: no key given\n"},
		{&model.Error{Type: "API_ERROR", Messages: []string{"no model given"}}, "Error: API_ERROR: no model given\n"},
		{&model.Error{Type: "API_ERROR", Model: "profiles", Key: "x"}, "Error: API_ERROR: profiles/x\n"},
		{&model.Problem{Messages: []string{"one"}}, "Error: one\n"},
		{&model.Problem{Model: "system", Key: "upgrade", Messages: []string{"one", "two"}}, "Error: system/upgrade\n  one\n  two\n"},
		{errors.Join(errors.New("one"), errors.New("two")), "Error: \n  one\n  two\n"},
		{errors.New("a\x1b[2Jb\rc"), "Error: a[2Jbc\n"},
		{context.Canceled, "Error: interrupted\n"},
	} {
		var got strings.Builder
		report(&got, c.err)
		if diff := cmp.Diff(c.want, got.String()); diff != "" {
			t.Errorf("%#v (-want +got):\n%s", c.err, diff)
		}
	}
}
