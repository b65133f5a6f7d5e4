package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// ahead is a build whose wall clock is an hour ahead.
var ahead = Build{Version: "1.0.0", Fault: "clock-ahead"}

// Each member has another ailment: where n1 keeps its data nothing can be made any
// more, the clock of n2 is ahead, and the disk of n3 is full.
func TestOneReportNamesEveryMemberAndFindingAndChangesNothing(t *testing.T) {
	t.Parallel()
	if syscall.Geteuid() != 0 {
		t.Fatal("run as root: members get file systems of their own")
	}
	c := newCluster(t, func(p *Plan) {
		p.Prepare = func(m *Member) error {
			switch m.Name {
			case "n2":
				if err := os.Remove(m.Binary()); err != nil {
					return err
				}
				return copyFile(filepath.Join(binaries(t, ahead), "theseusd"), m.Binary())
			case "n3":
				return syscall.Mount("tmpfs", m.Data(), "tmpfs", 0, "size=64m,nr_inodes=300")
			}
			return nil
		}
	})
	ctx := within(t)
	m, full, closed := c.Named("n2"), c.Named("n3"), c.Named("n1")
	t.Cleanup(func() { check(t, syscall.Unmount(full.Data(), syscall.MNT_DETACH)) })
	check(t, c.Staged(ctx, m, archive(t, v110)))
	before, was := must[Snapshot](t)(c.Look(ctx)), must[Status](t)(c.Status(ctx, m))
	filler := crowd(t, full.Data())
	check(t, syscall.Mount(closed.Data(), closed.Data(), "", syscall.MS_BIND, ""))
	check(t, syscall.Mount("", closed.Data(), "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))

	r := checkReport(ctx, t, c, "POST")

	want := []string{"n1 read-only hard", "n2 clock-offset soft", "n3 disk hard", "n3 inodes hard"}
	if diff := cmp.Diff(want, refusing(t, r)); diff != "" || r.OK {
		t.Errorf("%+v: %s", r, diff)
	}
	table, err := c.CLI(ctx, m, "system", "upgrade", "check", "-o", "table")
	if err == nil || !strings.Contains(table, "clock-offset  soft      n2") {
		t.Errorf("the CLI ended %v and shows %s", err, table)
	}
	a := must[Answer](t)(c.Do(ctx, m, Text("POST", runPath, "", quick)))
	refused(t, a, http.StatusConflict, "n1: nothing can be written in "+closed.Data(), "n2: its clock is ahead of the others' (1h0m0s, the limit is 500ms)",
		"--ignore clock-offset", "n3: too little disk is free", "n3: too few inodes are free", "free or add disk space")
	a = must[Answer](t)(c.Do(ctx, m, Text("POST", runPath, "", `{"ignore":["clock-offset","disk"]}`)))
	refused(t, a, http.StatusUnprocessableEntity, `"disk"`, "clock-offset, clock-sync, companion")
	if diff := cmp.Diff(was, must[Status](t)(c.Status(ctx, m))); diff != "" {
		t.Errorf("the status changed: %s", diff)
	}
	if diff := cmp.Diff(before.Members, must[Snapshot](t)(c.Look(ctx)).Members); diff != "" {
		t.Errorf("members changed: %s", diff)
	}

	check(t, syscall.Unmount(closed.Data(), syscall.MNT_DETACH))
	check(t, os.RemoveAll(filler))
	a = must[Answer](t)(c.Do(ctx, m, Text("POST", runPath, "", quick)))
	refused(t, a, http.StatusConflict, "--ignore clock-offset")
	if diff := cmp.Diff([]string{"n2 clock-offset soft"}, refusing(t, checkReport(ctx, t, c, "GET"))); diff != "" {
		t.Error(diff)
	}
	check(t, c.Run(ctx, m, `{"probation":"1s","ignore":["clock-offset"]}`))
	end := followed(t, c)
	if text := strings.Join(end.Transcript, "\n"); end.Status != "finished" || !strings.Contains(text, "accepted by admin: clock-offset (n2: its clock is ahead of the others', 1h0m0s)") {
		t.Errorf("it ended %+v", end)
	}
	for _, each := range c.Members {
		if a, some := actOf(trail(t, c, each), "accepted by admin: clock-offset (n2: "); !some || a.By != "admin" || a.Through != m.Name {
			t.Errorf("the audit trail of %s has %+v", each.Name, a)
		}
	}
}

// What a package asks for is held against what operators keep, on one report; when
// they have put it right, the upgrade goes.
func TestWhatAPackageAsksForIsHeldAgainstWhatOperatorsKeep(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	m := c.Members[0]
	check(t, c.Staged(ctx, m, demanding(t, v110, "requires:\n  memory: 4000TiB\n")))
	if diff := cmp.Diff([]string{"n1 memory hard", "n2 memory hard", "n3 memory hard"}, refusing(t, checkReport(ctx, t, c, "POST"))); diff != "" {
		t.Error(diff)
	}
	a := must[Answer](t)(c.Unstage(ctx, m))
	if a.Status != http.StatusOK {
		t.Fatalf("unstage: %d %s", a.Status, a.Body)
	}
	check(t, c.Staged(ctx, m, demanding(t, v110, `requires:
  backup: 24h
  companions: {mke: ">= 3.4, < 3.6"}
  settings: {content-trust: "off"}
`)))
	set := func(profile, param, value string) {
		t.Helper()
		must[string](t)(c.CLI(ctx, m, "profiles", "set", profile, "param", param, "to", value))
	}

	missing := refusing(t, checkReport(ctx, t, c, "POST"))
	check(t, c.CreateProfile(ctx, m, model.CompanionsProfile))
	check(t, c.CreateProfile(ctx, m, model.SettingsProfile))
	set(model.CompanionsProfile, "mke", "3.7.1")
	set(model.SettingsProfile, "content-trust", "on")
	wrong := refusing(t, checkReport(ctx, t, c, "POST"))

	want := []string{" backup soft", " companion soft", " setting soft"}
	if diff := cmp.Diff([][]string{want, want}, [][]string{missing, wrong}); diff != "" {
		t.Error(diff)
	}
	refused(t, must[Answer](t)(c.Do(ctx, m, Text("POST", runPath, "", quick))), http.StatusConflict,
		"theseus backup create", "mke", "content-trust", "--ignore companion")
	set(model.CompanionsProfile, "mke", "3.5.2")
	set(model.SettingsProfile, "content-trust", "off")
	must[string](t)(c.CLI(ctx, m, "backup", "create"))
	if r := checkReport(ctx, t, c, "POST"); !r.OK {
		t.Errorf("put right, it reports %+v", r)
	}
	check(t, c.Run(ctx, m, quick))
	if end := followed(t, c); end.Status != "finished" || !end.Completed {
		t.Errorf("it ended %+v", end)
	}
}

// A package lists the line from which it may be reached past the version table, and
// the version below which it may not.
func TestAnUpgradeByAListedException(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	m := c.Members[0]
	before := must[Snapshot](t)(c.Look(ctx))
	a := must[Answer](t)(c.Stage(ctx, m, demanding(t, v120, "")))
	refused(t, a, http.StatusUnprocessableEntity, "n1: 1.0.0 → 1.2.0 skips a minor version: go to 1.1.x first")
	a = must[Answer](t)(c.Stage(ctx, m, demanding(t, v120, "reachable: {from: 1.0.7, skips: [1.0]}\n")))
	refused(t, a, http.StatusUnprocessableEntity, "n1: ", "1.0.7")

	check(t, c.Staged(ctx, m, demanding(t, v120, "reachable: {skips: [1.0]}\n")))
	check(t, c.Run(ctx, m, quick))
	end := followed(t, c)

	if end.Status != "finished" || !end.Completed || !strings.Contains(strings.Join(end.Transcript, "\n"), "backup") {
		t.Errorf("it ended %+v", end)
	}
	runs(t, c, before, v120, samePID)
	check(t, m.Stop(ctx))
	check(t, m.Start()) // a version that the table would not let follow is at home now
	check(t, m.AwaitReady(ctx))
}

// demanding is a signed package of b whose manifest has more in it.
func demanding(t *testing.T, b Build, more string) (path string) {
	t.Helper()
	dir := t.TempDir()
	extra, path := filepath.Join(dir, "extra.yaml"), filepath.Join(dir, "theseus.zip")
	check(t, os.WriteFile(extra, []byte(more), 0o600))
	must[string](t)(output(t.Context(), dir, nil, cli(t), "package", "build", "--version", b.Version, "--manifest", extra,
		"--bin", platform()+"="+binaries(t, b), "--key", key(t, "release"), "-o", path))
	return path
}

// crowd leaves a small file system with little room and few inodes.
func crowd(t *testing.T, dir string) (filler string) {
	t.Helper()
	filler = filepath.Join(dir, "filler")
	check(t, os.Mkdir(filler, 0o700))
	var st syscall.Statfs_t
	check(t, syscall.Statfs(dir, &st))
	const left = 160 << 10 // less than four times the records
	check(t, os.WriteFile(filepath.Join(filler, "bytes"), make([]byte, int64(st.Bavail)*st.Bsize-left), 0o600))
	for i := range st.Ffree - 40 {
		check(t, os.Symlink("x", filepath.Join(filler, fmt.Sprint(i)))) // takes an inode and no block
	}
	return filler
}

// refusing are the findings that refuse an upgrade, in short. Each has a limit and a
// remedy, where there is one.
func refusing(t *testing.T, r model.CheckReport) (short []string) {
	t.Helper()
	for _, f := range r.Refusals() {
		short = append(short, fmt.Sprintf("%s %s %s", f.Member, f.Name, f.Severity))
		if f.Remedy == "" || f.Name != "read-only" && (f.Measured == "" || f.Limit == "") {
			t.Errorf("it says too little: %+v", f)
		}
	}
	return short
}
