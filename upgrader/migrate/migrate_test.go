package migrate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is the migration when this variable says which one.
const role = "MIGRATE_TEST_ROLE"

func TestMain(m *testing.M) {
	if r := os.Getenv(role); r != "" {
		play(r)
		return
	}
	os.Exit(m.Run())
}

const items = 20

// play is one migration.
func play(r string) {
	answers := bufio.NewScanner(os.Stdin)
	switch r {
	case "count":
		at, _ := strconv.Atoi(os.Getenv("THESEUS_CHECKPOINT"))
		for ; at < items; at++ {
			if os.Getenv("FAIL_AT") == strconv.Itoa(at) {
				fmt.Fprintf(os.Stderr, "item %d is broken\n", at)
				os.Exit(3)
			}
			fmt.Printf("log item %d\ncheckpoint %d %d %d\n", at, at+1, items, at+1)
			if !answers.Scan() || answers.Text() != "go" {
				os.Exit(4)
			}
		}
	case "say":
		fmt.Println(os.Getenv("SAY"))
		answers.Scan()
	case "tell":
		fmt.Println(os.Getenv("SAY"))
	case "limits":
		var l unix.Rlimit
		unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
		nice, _ := unix.Getpriority(unix.PRIO_PROCESS, 0)
		fmt.Printf("log files %d, nice %d\n", l.Cur, 20-nice)
	case "stubborn": // with a child of its own, and both do not end
		child := exec.Command("/bin/sh", "-c", "trap '' TERM; echo $$ > "+os.Getenv("PIDS")+"; while :; do sleep 1; done")
		if err := child.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("log began")
		child.Wait()
	case "parent": // runs a migration, and is killed
		p := process("stubborn")
		p.Env = append(p.Env, "PIDS="+os.Getenv("PIDS"))
		p.Log = func(string) { fmt.Println("began") }
		fmt.Fprintln(os.Stderr, p.Run(context.Background(), ""))
	}
}

func process(r string, env ...string) Process {
	return Process{Path: "/proc/self/exe", Env: append(env, role+"="+r), Dir: "/",
		Log:  func(string) {},
		Keep: func(context.Context, Checkpoint) error { return nil }}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestAMigrationGoesOnFromItsCheckpoint(t *testing.T) {
	var kept []Checkpoint
	var log []string
	keep := func(p Process) Process {
		p.Log = func(text string) { log = append(log, text) }
		p.Keep = func(_ context.Context, c Checkpoint) error {
			kept = append(kept, c)
			return nil
		}
		return p
	}
	err := keep(process("count", "FAIL_AT=7")).Run(within(t), "")
	if err == nil || !strings.Contains(err.Error(), "exit status 3: item 7 is broken") {
		t.Errorf("it failed with %v", err)
	}
	last := kept[len(kept)-1]
	if last != (Checkpoint{7, items, "7"}) {
		t.Errorf("it came to %+v", last)
	}
	if err := keep(process("count")).Run(within(t), last.Token); err != nil {
		t.Fatal(err)
	}
	for n := range items {
		if want := fmt.Sprintf("item %d", n); n >= len(log) || log[n] != want || kept[n].Done != int64(n+1) {
			t.Fatalf("%d is missing in %q, %v", n, log, kept)
		}
	}
}

func TestAMigrationWaitsUntilItsCheckpointIsKept(t *testing.T) {
	refused := errors.New("the job has another runner")
	calls := 0
	p := process("count")
	p.Keep = func(context.Context, Checkpoint) error {
		if calls++; calls < 3 {
			return nil
		}
		return refused
	}
	if err := p.Run(within(t), ""); !errors.Is(err, refused) || calls != 3 {
		t.Errorf("after %d checkpoints it ended with %v", calls, err)
	}
}

func TestAMigrationThatDoesNotSpeakTheProtocolFails(t *testing.T) {
	for say, want := range map[string]string{
		"hello":                            `it said "hello"`,
		"checkpoint":                       "want checkpoint DONE TOTAL TOKEN",
		"checkpoint 1 2":                   "want checkpoint DONE TOTAL TOKEN",
		"checkpoint 3 2 x":                 "want checkpoint DONE TOTAL TOKEN",
		"checkpoint -1 2 x":                "want checkpoint DONE TOTAL TOKEN",
		"checkpoint one 2 x":               "want checkpoint DONE TOTAL TOKEN",
		"log " + strings.Repeat("x", 5000): "a line of more than 4096 bytes",
	} {
		if err := process("say", "SAY="+say).Run(within(t), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", say, err, want)
		}
	}
}

func TestAMigrationIsBound(t *testing.T) {
	p := process("")
	p.Path, p.Args = "/bin/sh", []string{"-c", "echo checkpoint 0 1 x; read go; head -c 1G /dev/zero | tail >/dev/null"}
	p.Env, p.Memory = []string{"PATH=/usr/bin:/bin"}, 64<<20
	if err := p.Run(within(t), ""); err == nil || !strings.Contains(err.Error(), "memory exhausted") {
		t.Errorf("what keeps a line of 1 GiB in memory had enough: %v", err)
	}
	told := ""
	p = process("limits")
	p.Log = func(text string) { told = text }
	if err := p.Run(within(t), ""); err != nil || told != "files 1024, nice 10" {
		t.Errorf("%q, %v", told, err)
	}
}

func TestThePausesOfAMigrationDoNotCountForItsDeadline(t *testing.T) {
	p := process("count")
	p.Deadline = 10 * time.Second
	keep := func(d time.Duration) error {
		ctx, limit := p.limited(within(t))
		limit.left = d // as if the rest had been worked through
		limit.timer.Reset(time.Hour)
		limit.rest()
		limit.goOn()
		defer limit.stop()
		if err := p.run(ctx, limit, ""); ctx.Err() == nil {
			return err
		}
		return context.Cause(ctx)
	}
	if err := keep(time.Minute); err != nil {
		t.Error(err)
	}
	if err := keep(0); err == nil || !strings.Contains(err.Error(), "deadline of 10s") {
		t.Errorf("its time was used up, and it ended with %v", err)
	}
	ctx, limit := p.limited(within(t))
	defer limit.stop()
	limit.rest()
	if limit.timer.Stop() || ctx.Err() != nil {
		t.Error("the clock runs on while it rests")
	}
}

func TestAMigrationSaysHowMuchThereIs(t *testing.T) {
	var said []Estimate
	p := process("tell", "SAY=estimate 100000 100")
	p.Estimate = func(e Estimate) { said = append(said, e) }
	if err := p.Run(within(t), ""); err != nil || len(said) != 1 || said[0] != (Estimate{100000, 100}) {
		t.Errorf("it said %v, and ended with %v", said, err)
	}
	for _, wrong := range []string{"estimate", "estimate 1", "estimate x 1", "estimate 1 -1"} {
		p.Env = process("tell", "SAY="+wrong).Env
		if err := p.Run(within(t), ""); err == nil || !strings.Contains(err.Error(), "want estimate ITEMS COMMITS") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	p = process("tell", "SAY=estimate 1 1") // while it runs
	if err := p.Run(within(t), ""); err == nil || !strings.Contains(err.Error(), "not for now") {
		t.Errorf("it ended with %v", err)
	}
}

func TestAMigrationEndsAtItsDeadlineWithAllThatItStarted(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	p := process("stubborn", "PIDS="+pids)
	p.Deadline = time.Second
	if err := p.Run(within(t), ""); err == nil || !strings.Contains(err.Error(), "deadline of 1s") {
		t.Errorf("it ended with %v", err)
	}
	awaitGone(t, pids)
}

func TestAMigrationDiesWithItsParent(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	parent := exec.Command("/proc/self/exe")
	parent.Env = []string{role + "=parent", "PIDS=" + pids}
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("it did not begin")
	}
	children := childrenOf(t, parent.Process.Pid)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	parent.Wait()
	for _, pid := range children {
		awaitDead(t, pid)
	}
	if raw, err := os.ReadFile(pids); err == nil { // a grandchild is not told: the next attempt is refused by its epoch
		if pid, err := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

func childrenOf(t *testing.T, pid int) (all []int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("no tasks of %d: %v", pid, err)
	}
	for _, file := range tasks {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(raw)) {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, n)
		}
	}
	if len(all) == 0 {
		t.Fatalf("%d has no children", pid)
	}
	return all
}

func awaitGone(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	awaitDead(t, pid)
}

// awaitDead waits until a process is gone, or has ended and nobody has asked how.
func awaitDead(t *testing.T, pid int) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); ; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%d lives: %s", pid, stat)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
