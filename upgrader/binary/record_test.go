package binary

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRecordsAreReadStrictly(t *testing.T) {
	o := &Own{Path: t.TempDir() + "/theseusd"}
	want := Attempt{V: recordVersion, Upgrade: "u1", Member: "m1", Number: 2, Binary: o.Path,
		Start: Start{Argv: []string{"theseusd"}, Env: []string{"A=1"}, Dir: "/"}}
	if err := o.write("attempt", want); err != nil {
		t.Fatal(err)
	}
	got, open, err := o.Attempt()
	if diff := cmp.Diff(want, got); diff != "" || !open || err != nil {
		t.Errorf("%v, %v\n%s", open, err, diff)
	}
	if info, err := os.Stat(o.beside("attempt")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	for text, say := range map[string]string{
		`{"v":2,"upgrade":"u1"}`: "it has version 2, this program reads version 1",
		`{"v":1,"later":true}`:   "later",
		`{"v":1} {"v":1}`:        "",
		``:                       "",
		`{"v":1,"upgrade":"u`:    "",
	} {
		if err := os.WriteFile(o.beside("attempt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if a, _, err := o.Attempt(); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q was read: %+v, %v", text, a, err)
		}
	}
	for range 2 {
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, open, err := o.Attempt(); open || err != nil {
		t.Errorf("closed: %v, %v", open, err)
	}
}

func TestWhatIsInheritedIsReadStrictly(t *testing.T) {
	for _, text := range []string{
		`{"v":2,"fds":{}}`, `{"v":1,"fds":{},"later":1}`, `{"v":1,"fds":{"api":1}}`, `{"v":1,"fds":{"api":-1}}`, `x`, ``,
		`{"v":1,"fds":{"api":1000000}}`,
	} {
		t.Setenv(inheritVariable, text)
		if in, err := Inherited(); err == nil {
			t.Errorf("%q was read: %+v", text, in)
		}
		if _, there := os.LookupEnv(inheritVariable); there {
			t.Errorf("%q: it is in the environment still", text)
		}
	}
	in, err := Inherited()
	if err != nil || in.File("api") != nil {
		t.Errorf("a first start inherits %+v, %v", in, err)
	}
}

func TestASupervisedProcessIsTheOneThatSystemdStarted(t *testing.T) {
	t.Setenv("INVOCATION_ID", "1")
	if !Supervised() {
		t.Error("not supervised with an invocation id")
	}
	t.Setenv("SYSTEMD_EXEC_PID", "1")
	if Supervised() {
		t.Error("supervised below a service")
	}
	t.Setenv("SYSTEMD_EXEC_PID", strconv.Itoa(os.Getpid()))
	if !Supervised() {
		t.Error("not supervised as a service")
	}
}
