package upgrader

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

var update = flag.Bool("update", false, "write the drawing into docs/upgrade.md")

const (
	drawingFile  = "../docs/upgrade.md"
	drawingBegin = "<!-- drawn from upgrader/machine.go: go test ./upgrader -run Drawing -update -->\n"
	drawingEnd   = "<!-- end of the drawing -->\n"
)

func TestDrawingInTheDocsIsTheMachine(t *testing.T) {
	raw, err := os.ReadFile(drawingFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), drawingBegin)
	old, after, closed := strings.Cut(rest, drawingEnd)
	if !found || !closed {
		t.Fatalf("%s has no place for the drawing", drawingFile)
	}
	want := drawing()
	if *update {
		if err := os.WriteFile(drawingFile, []byte(before+drawingBegin+want+drawingEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, old); diff != "" {
		t.Errorf("the drawing in %s is not the machine (run with -update):\n%s", drawingFile, diff)
	}
}

func drawing() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n  [*] --> staged\n  staged --> checking: start\n  failed --> checking: start again\n")
	for _, r := range phases() {
		for _, in := range r.in {
			if r.to != "" && in != r.to {
				fmt.Fprintf(&b, "  %s --> %s: %s\n", in, end2(string(r.to)), r.when)
			}
		}
	}
	b.WriteString("```\n\n```mermaid\nstateDiagram-v2\n  [*] --> waiting\n  done --> reverting: the rollout goes back\n")
	for _, r := range steps() {
		for _, at := range r.at {
			if r.to != "" && at != r.to {
				fmt.Fprintf(&b, "  %s --> %s: %s\n", at, r.to, r.when)
			}
			if to := goingBack(r); to != "" && at != to {
				fmt.Fprintf(&b, "  %s --> %s: %s, going back\n", at, to, r.when)
			}
		}
	}
	b.WriteString("```\n\n| phase | who | when | then |\n|---|---|---|---|\n")
	for _, r := range phases() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", list(r.in), r.who, r.when, then(r.does, string(r.to)))
	}
	b.WriteString("\n| step | who | when | then |\n|---|---|---|---|\n")
	for _, r := range steps() {
		words := then(r.does, string(r.to))
		if to := goingBack(r); to != "" {
			words += fmt.Sprintf(", going back → %s", to)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", list(r.at), r.who, r.when, words)
	}
	return b.String()
}

// goingBack is where a row leads in a turn back, if that is elsewhere.
func goingBack(r stepRow) model.Step {
	if s, is := r.does(exampleSight(true)).Body.(store.TurnStep); is && r.to != "" && s.To != r.to {
		return s.To
	}
	return ""
}

func list[W ~string](words []W) string {
	var all []string
	for _, w := range words {
		all = append(all, string(w))
	}
	return strings.Join(all, ", ")
}

func end2(state string) string {
	if state == string(cleared) {
		return "[*]"
	}
	return state
}

// then says in words what a row does: the effect, the command, or where to.
func then(does func(sight) Action, to string) string {
	a := does(exampleSight(false))
	words := []string{}
	if a.Do != "" {
		words = append(words, string(a.Do))
	}
	if a.Op != "" {
		words = append(words, "`"+string(a.Op)+"`")
	}
	if to != "" {
		words = append(words, "→ "+to)
	}
	return strings.Join(slices.Compact(words), " ")
}
