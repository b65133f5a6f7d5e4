package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// hooked makes members whose hooks add a line to a file each, then do what text
// says. It answers the hook and the file, once there is a cluster.
func hooked(hook, file *string, text string) func(*Plan) {
	return func(p *Plan) {
		*hook, *file = filepath.Join(p.Dir, "hook"), filepath.Join(p.Dir, "hooks")
		p.Prepare = func(m *Member) error {
			m.Args = append(m.Args, "--drain-hook", *hook, "--post-hook", *hook)
			line := `echo "$THESEUS_MEMBER $THESEUS_HOOK $THESEUS_FROM $THESEUS_TO" >>` + *file
			return os.WriteFile(*hook, []byte("#!/bin/sh\n"+line+"\n"+text+"\n"), 0o755)
		}
	}
}

func toldHooks(t *testing.T, file string) []string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
}

func TestHooksRunAroundEachTurnAndNoTwoMembersAreOutAtOnce(t *testing.T) {
	t.Parallel()
	var hook, file string
	c := newCluster(t, hooked(&hook, &file, `[ $THESEUS_HOOK = drain ] || sleep 1`))
	before := must[Snapshot](t)(c.Look(within(t)))

	end := upgraded(t, c, v110, `{"probation":"0s"}`)

	if end.Status != "finished" || !end.Completed {
		t.Fatalf("the upgrade ended %+v", end)
	}
	runs(t, c, before, v110, samePID)
	var want []string
	for _, name := range turns(end.Transcript) {
		want = append(want, name+" drain 1.0.0 1.1.0", name+" post 1.0.0 1.1.0")
	}
	if diff := cmp.Diff(want, toldHooks(t, file)); diff != "" || len(want) != 6 {
		t.Errorf("the hooks were told: %s", diff)
	}
}

func TestADrainHookThatFailsFailsTheUpgradeAndSwapsNothingThere(t *testing.T) {
	t.Parallel()
	var hook, file string
	c := newCluster(t, hooked(&hook, &file, `[ $THESEUS_HOOK = post ] || [ $THESEUS_MEMBER != $(cat $0.fails) ] || { echo the balancer says no >&2; exit 3; }`))
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	m := followers(t, c)[0]
	check(t, os.WriteFile(hook+".fails", []byte(m.Name), 0o644))
	check(t, c.Staged(ctx, m, archive(t, v110)))

	check(t, os.Rename(hook, hook+".away"))
	a := must[Answer](t)(c.Do(ctx, m, Text("POST", runPath, "", quick)))
	refused(t, a, http.StatusConflict, "drain hook: "+hook+": there is no such file", "post hook: "+hook, m.Name)
	check(t, os.Rename(hook+".away", hook))

	check(t, c.Run(ctx, m, quick))
	end := followed(t, c)

	reason := "drain hook " + hook + ": exit status 3: the balancer says no"
	if end.Status != string(model.Failed) || !strings.Contains(end.Final, m.Name+": "+reason) {
		t.Errorf("it ended %s: %s", end.Status, end.Final)
	}
	after := must[Snapshot](t)(c.Look(ctx))
	if diff := cmp.Diff(before.Members[m.Name], after.Members[m.Name]); diff != "" {
		t.Errorf("%s has changed: %s", m.Name, diff)
	}
	var there []string
	for _, line := range toldHooks(t, file) {
		if strings.HasPrefix(line, m.Name+" ") {
			there = append(there, strings.Fields(line)[1])
		}
	}
	if diff := cmp.Diff([]string{"drain", "post", "drain", "post", "drain", "post"}, there); diff != "" {
		t.Errorf("the hooks of %s: %s", m.Name, diff)
	}
}
