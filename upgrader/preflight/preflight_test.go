package preflight

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pretend is a machine whose kernel says what the test writes into proc and sys.
func pretend(t *testing.T) Machine {
	t.Helper()
	dir := t.TempDir()
	m := Machine{Data: filepath.Join(dir, "data"), Proc: filepath.Join(dir, "proc"), Sys: filepath.Join(dir, "sys")}
	for _, d := range []string{m.Data, m.Proc, m.Sys} {
		check(t, os.Mkdir(d, 0o700))
	}
	m.say(t, m.Proc+"/meminfo", "MemTotal:        4028432 kB\nMemFree:   120 kB\n")
	return m
}

func (m Machine) say(t *testing.T, path, text string) {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(path), 0o700))
	check(t, os.WriteFile(path, []byte(text), 0o600))
}

// brief are findings without the advice, which depends on the machine of the test.
func brief(found []model.Finding) (all []string) {
	for _, f := range found {
		if f.Severity != model.Advice {
			all = append(all, fmt.Sprintf("%s %s %s/%s", f.Severity, f.Name, f.Measured, f.Limit))
		}
	}
	return all
}

func TestALookAtAGoodMachineFindsNothingAndLeavesNothing(t *testing.T) {
	m := pretend(t)
	if found := brief(m.Look(Needs{Room: 1 << 20, Memory: 3 << 30})); found != nil {
		t.Errorf("found %v", found)
	}
	left, err := os.ReadDir(m.Data)
	check(t, err)
	if len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestTheMachineOfThisProcessIsMeasured(t *testing.T) {
	m := Here(t.TempDir())
	found := brief(m.memory(1 << 62))
	if len(found) != 1 || strings.HasPrefix(found[0], "hard memory /") {
		t.Errorf("found %v", found)
	}
}

func TestMemoryIsHeldAgainstWhatTheKernelCounts(t *testing.T) {
	m := pretend(t)
	for need, want := range map[uint64][]string{
		0: nil, 4028432 << 10: nil, 4028433 << 10: {"hard memory 3934 MiB/3934 MiB"}, 8 << 30: {"hard memory 3934 MiB/8192 MiB"},
	} {
		if diff := cmp.Diff(want, brief(m.memory(need))); diff != "" {
			t.Errorf("%d: %s", need, diff)
		}
	}
	m.say(t, m.Proc+"/meminfo", "MemFree: 1 kB\n")
	if diff := cmp.Diff([]string{"hard memory /1 MiB"}, brief(m.memory(1<<20))); diff != "" {
		t.Error(diff)
	}
}

func TestASmallFileSystemHasTooLittleRoomAndTooFewInodes(t *testing.T) {
	m := pretend(t)
	check(t, unix.Mount("tmpfs", m.Data, "tmpfs", 0, "size=8m,nr_inodes=80"))
	t.Cleanup(func() { check(t, unix.Unmount(m.Data, unix.MNT_DETACH)) })
	if found := brief(m.Look(Needs{Room: 8 << 20})); found != nil {
		t.Errorf("empty it has %v", found)
	}
	for i := range 30 {
		check(t, os.Symlink("x", filepath.Join(m.Data, fmt.Sprint(i))))
	}
	want := []string{"hard disk 8 MiB/9 MiB", "hard inodes 49/64"}
	if diff := cmp.Diff(want, brief(m.Look(Needs{Room: 8<<20 + 1}))); diff != "" {
		t.Error(diff)
	}
	m.say(t, m.Data+"/filler", strings.Repeat("x", 8<<20))
	found := m.Look(Needs{})
	if len(found) < 2 || found[1].Name != ReadOnly || !strings.Contains(found[1].Remedy, "disk space") {
		t.Errorf("full it has %v", found)
	}
}

func TestADirectoryThatCannotBeWrittenIsFound(t *testing.T) {
	m := pretend(t)
	check(t, unix.Mount("tmpfs", m.Data, "tmpfs", unix.MS_RDONLY, ""))
	t.Cleanup(func() { check(t, unix.Unmount(m.Data, unix.MNT_DETACH)) })
	found := m.writing()
	if len(found) != 1 || found[0].Name != ReadOnly || found[0].Severity != model.Hard || !strings.Contains(found[0].Remedy, "mount the file system writable") {
		t.Errorf("found %v", found)
	}
	gone := Here(filepath.Join(m.Data, "not-there"))
	if diff := cmp.Diff([]string{"hard disk /", "hard read-only /"}, brief(gone.Look(Needs{}))); diff != "" {
		t.Error(diff)
	}
}

func TestASlowDiskIsJudgedByTheMedian(t *testing.T) {
	const quick, long = time.Millisecond, 300 * time.Millisecond
	if found := slow([]time.Duration{quick, long, quick, long, quick}); found != nil {
		t.Errorf("found %v", found)
	}
	found := slow([]time.Duration{long, quick, long})
	if len(found) != 1 || found[0].Name != DiskLatency || found[0].Severity != model.Advice || found[0].Measured != "300ms" || found[0].Limit != "100ms" {
		t.Errorf("found %v", found)
	}
}

func TestErrorsOfTheFileSystemAreFoundWhereTheKernelCountsThem(t *testing.T) {
	m := pretend(t)
	var st unix.Stat_t
	check(t, unix.Stat(m.Data, &st))
	if found := m.errors(); found != nil {
		t.Errorf("without a device: %v", found)
	}
	check(t, os.MkdirAll(m.Sys+"/dev/block", 0o700))
	check(t, os.Symlink("../../devices/pci0/block/sda/sda1", fmt.Sprintf("%s/dev/block/%d:%d", m.Sys, unix.Major(st.Dev), unix.Minor(st.Dev))))
	if found := m.errors(); found != nil {
		t.Errorf("without a count: %v", found)
	}
	for count, want := range map[string][]string{"0\n": nil, "3\n": {"soft disk-errors 3/0"}} {
		m.say(t, m.Sys+"/fs/ext4/sda1/errors_count", count)
		if diff := cmp.Diff(want, brief(m.errors())); diff != "" {
			t.Errorf("%q: %s", count, diff)
		}
	}
}

func TestTheKernelsWordOnItsClock(t *testing.T) {
	for _, c := range []struct {
		state  int
		status int32
		found  bool
	}{{unix.TIME_OK, 0, false}, {unix.TIME_ERROR, 0, true}, {unix.TIME_OK, unix.STA_UNSYNC, true}} {
		found := unsynchronised(c.state, unix.Timex{Status: c.status, Maxerror: 16_000_000})
		if (len(found) == 1) != c.found || c.found && (found[0].Severity != model.Advice || found[0].Measured != "an error of up to 16s") {
			t.Errorf("%+v: %v", c, found)
		}
	}
}

// apart is a reading of a member whose clock is ahead by off; an answer is on its
// way for there and back, and the member thinks for a while in between.
func apart(member string, off, there, back time.Duration) Reading {
	asked := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	const thought = 3 * time.Second
	return Reading{Member: member, Asked: asked, Heard: asked.Add(there + off), Said: asked.Add(there + off + thought), Answered: asked.Add(there + thought + back)}
}

func TestClocksThatAreTooFarApart(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name     string
		readings []Reading
		want     []string
	}{
		{"alone", []Reading{apart("n1", 0, 0, 0)}, nil},
		{"as one", []Reading{apart("n1", 0, 0, 0), apart("n2", 400*ms, ms, ms), apart("n3", -90*ms, ms, ms)}, nil},
		{"one ahead", []Reading{apart("n1", 0, 0, 0), apart("n2", time.Hour, ms, ms), apart("n3", 0, ms, ms)}, []string{"n2 ahead of 1h0m0s"}},
		{"one behind", []Reading{apart("n1", 0, 0, 0), apart("n2", -time.Minute, ms, ms), apart("n3", 0, ms, ms)}, []string{"n2 behind 1m0s"}},
		{"the asker", []Reading{apart("n1", 0, 0, 0), apart("n2", -time.Hour, ms, ms), apart("n3", -time.Hour, ms, ms)}, []string{"n1 ahead of 1h0m0s"}},
		{"all of four", []Reading{apart("n1", 0, 0, 0), apart("n2", time.Hour, 0, 0), apart("n3", 2*time.Hour, 0, 0), apart("n4", 0, 0, 0)},
			[]string{"n2 ahead of 1h0m0s", "n3 ahead of 2h0m0s"}},
		{"within the doubt of a slow way", []Reading{apart("n1", 0, 0, 0), apart("n2", 0, 2*time.Second, 0)}, nil},
		{"beyond it", []Reading{apart("n1", 0, 0, 0), apart("n2", 5*time.Second, 2*time.Second, 0)}, []string{"n2 ahead of 6s"}},
	} {
		var got []string
		for _, f := range Offsets(c.readings) {
			where := "behind"
			if strings.Contains(f.What, "ahead of") {
				where = "ahead of"
			}
			got = append(got, f.Member+" "+where+" "+f.Measured)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestCompanionsMustFit(t *testing.T) {
	rules := map[string]string{"mke": ">= 3.4, < 3.6"}
	for _, c := range []struct {
		value any
		want  []string
	}{
		{"3.5.0", nil}, {"3.4", nil}, {"v3.5.9", nil},
		{nil, []string{"soft companion not set/>= 3.4, < 3.6"}},
		{"3.6.0", []string{"soft companion 3.6.0/>= 3.4, < 3.6"}},
		{"three", []string{"soft companion three/>= 3.4, < 3.6"}},
		{3.5, []string{"soft companion 3.5/>= 3.4, < 3.6"}},
	} {
		found := Companions(rules, map[string]any{"mke": c.value})
		if diff := cmp.Diff(c.want, brief(found)); diff != "" {
			t.Errorf("%v: %s", c.value, diff)
		}
	}
	found := Companions(rules, nil)
	if len(found) != 1 || !strings.Contains(found[0].Remedy, "theseus profiles set theseus-companions param mke to 3.5.0") {
		t.Errorf("found %v", found)
	}
	if found := Companions(map[string]string{"mke": "new"}, map[string]any{"mke": "3.5.0"}); len(found) != 1 {
		t.Errorf("found %v", found)
	}
}

func TestSettingsMustBeAsAskedFor(t *testing.T) {
	rules := map[string]string{"read-only": "true", "workers": "5", "mode": "fast"}
	if found := Settings(rules, map[string]any{"read-only": true, "workers": 5.0, "mode": "fast"}); found != nil {
		t.Errorf("found %v", found)
	}
	want := []string{"soft setting not set/fast", "soft setting false/true", "soft setting 50/5"}
	if diff := cmp.Diff(want, brief(Settings(rules, map[string]any{"read-only": false, "workers": 50.0}))); diff != "" {
		t.Error(diff)
	}
}

func TestABackupMustBeRecentEnough(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct {
		most, age time.Duration
		some      bool
		want      string
	}{
		{day, day, true, ""}, {0, 300 * day, true, ""},
		{day, day + time.Minute, true, "soft 24h1m0s old/24h0m0s"},
		{day, 0, false, "soft none/24h0m0s"},
		{0, 0, false, "advice none/one"},
	} {
		got := ""
		for _, f := range BackupDue(c.most, now.Add(-c.age), c.some, now) {
			got += fmt.Sprintf("%s %s/%s", f.Severity, f.Measured, f.Limit)
		}
		if got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
