package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// talk is theseus at a terminal of its own, which is its stdin too.
type talk struct {
	t       *testing.T
	cmd     *exec.Cmd
	control *os.File
	said    chan string // what it writes, closed at its end
	all     string      // of it, as far as read
	heard   int         // so much of that was expected
}

func talkTo(t *testing.T, r *recording, env []string, args ...string) *talk {
	t.Helper()
	control, tty := openTerminal(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{Path: program, Args: append([]string{"theseus"}, args...), Stdin: tty, Stdout: tty, Stderr: tty,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Setctty: true}} // so that an interrupt can be typed
	cmd.Env = append([]string{"THESEUS_ENDPOINT=" + r.URL, "THESEUS_CA_CERT=" + filepath.Join(r.dir, "ca.pem")}, env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	k := &talk{t: t, cmd: cmd, control: control, said: make(chan string)}
	go k.listen()
	return k
}

func (k *talk) listen() {
	defer close(k.said)
	for b := make([]byte, 4096); ; {
		n, err := k.control.Read(b) // EIO when the last one has closed the other side
		k.said <- string(b[:n])
		if err != nil {
			return
		}
	}
}

// expect reads on until text was said, after what was expected before.
func (k *talk) expect(text string) {
	k.t.Helper()
	for !strings.Contains(k.all[k.heard:], text) {
		select {
		case more, on := <-k.said:
			if !on {
				k.t.Fatalf("ended without %q:\n%s", text, k.all)
			}
			k.all += more
		case <-time.After(time.Minute):
			k.cmd.Process.Kill()
			k.t.Fatalf("did not say %q:\n%s", text, k.all)
		}
	}
	k.heard += strings.Index(k.all[k.heard:], text) + len(text)
}

func (k *talk) typed(text string) {
	k.t.Helper()
	if _, err := k.control.WriteString(text); err != nil {
		k.t.Fatal(err)
	}
}

// expectSecret waits for the prompt, which comes first, and for the silence.
func (k *talk) expectSecret() {
	k.t.Helper()
	k.expect("Password: ")
	for k.echoes() {
		runtime.Gosched()
	}
}

// ends reads to the end and answers the exit code.
func (k *talk) ends() int {
	k.t.Helper()
	stuck := time.AfterFunc(time.Minute, func() { k.cmd.Process.Kill() }) // it waits for an answer
	defer stuck.Stop()
	for more := range k.said {
		k.all += more
	}
	k.cmd.Wait() // the code says it all
	return k.cmd.ProcessState.ExitCode()
}

// echoes says whether the terminal shows what is typed.
func (k *talk) echoes() bool {
	k.t.Helper()
	state, err := unix.IoctlGetTermios(int(k.control.Fd()), unix.TCGETS)
	if err != nil {
		k.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

const nobody = `{"Model":"","Key":"","Type":"AUTH","Messages":["bad credentials"],"Code":401}`

// guided are the answers of a server for an upgrade to an archive of eleven bytes.
func guided(t *testing.T, first ...string) *recording {
	t.Helper()
	const digest = "4cd36b3ca046f7c17e81e1aa31bf2dc6a91b98c94238810db57456b4904d3a22"
	r := record(t, append(first,
		`GET /info 200 {"version":"1.0.0","features":["two-phase-rolling-upgrades"]}`,
		`GET /system/upgrade/stage?sha256=`+digest+` 404 {"Model":"uploads","Type":"GET","Messages":["nothing of it"],"Code":404}`,
		`POST /system/upgrade/stage?sha256=`+digest+` 201 {"Path":"sha256:ab","Size":11}`,
		`GET /system/upgrade/plan 200 {"from":"1.0.0","to":"1.1.0","hops":[{"from":"1.0.0","to":"1.1.0","reason":"minor"}]}`,
		`POST /system/upgrade/check 200 {"ok":true,"members":[{"name":"n1","findings":[]}]}`,
		`POST /system/upgrade/run 202 {"Params":{"status":"working"}}`,
		`GET /system/upgrade/status 200 {"Params":{"status":"finished"}}`)...)
	if err := os.WriteFile(filepath.Join(r.dir, "upgrade.zip"), []byte("an archive\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	noUpgrade  = `GET /system/upgrade/status?consistent=true 404 {"Model":"profiles","Type":"GET","Messages":["nothing is staged"],"Code":404}`
	isStaged   = `GET /system/upgrade/status?consistent=true 200 {"Params":{"status":"staged","from-version":"1.0.0","to-version":"1.1.0","archive":"sha256:cd"}}`
	isFinished = `GET /system/upgrade/status?consistent=true 200 {"Params":{"status":"finished","transcript":["one"],"final-state":"well","completed":true}}`
)

func (k *talk) started(r *recording) bool {
	return strings.Contains(r.requests(), "/system/upgrade/run")
}

func TestAnUpgradeWithoutAFileAsksForAllThatIsMissing(t *testing.T) {
	r := guided(t, "GET /info 401 "+nobody, "GET /info 401 "+nobody, noUpgrade, isStaged, isFinished)
	k := talkTo(t, r, []string{"THESEUS_ENDPOINT=https://127.0.0.1:1"}, "system", "upgrade")
	k.expect("Endpoint, the URL of any member [https://127.0.0.1:1]: ")
	k.typed(r.URL + "\n")
	k.expect("User [admin]: ")
	k.typed("\n")
	k.expectSecret()
	k.typed("wrong\n")
	k.expect("User [admin]: ")
	k.typed("root\n")
	k.expectSecret()
	k.typed("se:cret\n")
	k.expect("Archive: a file, a URL or catalog:NAME: ")
	k.typed("nowhere.zip\n")
	k.expect("no such file")
	k.expect("Archive: a file, a URL or catalog:NAME: ")
	k.typed(filepath.Join(r.dir, "upgrade.zip") + "\n")
	k.expect("the plan, from 1.0.0 to 1.1.0\r\n  1.0.0 -> 1.1.0: minor\r\n")
	k.expect("  n1: ready\r\n")
	k.expect("Upgrade the cluster from 1.0.0 to 1.1.0 now? (yes or no) [no]: ")
	if k.started(r) {
		t.Error("started before the yes")
	}
	k.typed("yes\n")
	k.expect("finished: well")
	if code := k.ends(); code != 0 || !k.started(r) {
		t.Errorf("exit code %d:\n%s", code, k.all)
	}
	if strings.Contains(k.all, "cret") || strings.Contains(k.all, "wrong") {
		t.Errorf("a password is shown:\n%s", k.all)
	}
	for _, want := range []string{"GET /info admin:wrong\n", "GET /info root:se:cret\n", "POST /system/upgrade/run root:se:cret\n"} {
		if !strings.Contains(r.requests(), want) {
			t.Errorf("did not ask %s, but\n%s", want, r.requests())
		}
	}
}

func TestWhatIsStagedNeedsNoFile(t *testing.T) {
	r := guided(t, isStaged, isStaged, isFinished)
	k := talkTo(t, r, []string{"THESEUS_TOKEN=x"}, "system", "upgrade")
	k.expect("empty for 1.1.0, which is staged: ")
	k.typed("\n")
	k.expect("(yes or no) [no]: ")
	k.typed("y\n")
	if code := k.ends(); code != 0 || !k.started(r) || strings.Contains(r.requests(), "POST /system/upgrade/stage") {
		t.Errorf("exit code %d, asked\n%s", code, r.requests())
	}
}

func TestNothingStartsWithoutAYes(t *testing.T) {
	for name, one := range map[string]struct {
		answer string
		code   int
		says   string
	}{
		"no":             {"no\n", 1, "not started, as you said: what is staged stays so"},
		"nothing":        {"\n", 1, "not started"},
		"another word":   {"sure\n", 1, "not started"},
		"an interrupt":   {"\x03", 130, "interrupted"},
		"the end of it":  {"\x04", 130, "interrupted"},
		"half an answer": {"ye\x03", 130, "interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			r := guided(t, isStaged)
			k := talkTo(t, r, []string{"THESEUS_TOKEN=x"}, "system", "upgrade", "--staged")
			k.expect("(yes or no) [no]: ")
			k.typed(one.answer)
			if code := k.ends(); code != one.code || k.started(r) || !strings.Contains(k.all, one.says) {
				t.Errorf("exit code %d:\n%s", code, k.all)
			}
		})
	}
}

func TestAYesThatWasGivenBeforeIsNotAskedFor(t *testing.T) {
	r := guided(t, isStaged, isStaged, isFinished)
	k := talkTo(t, r, []string{"THESEUS_TOKEN=x", "THESEUS_YES=true"}, "system", "upgrade", "--staged")
	if code := k.ends(); code != 0 || !k.started(r) || strings.Contains(k.all, "yes or no") {
		t.Errorf("exit code %d:\n%s", code, k.all)
	}
}

func TestAFindingThatNobodyMayAcceptEndsItBeforeTheQuestion(t *testing.T) {
	r := guided(t, isStaged,
		`POST /system/upgrade/check 200 {"ok":false,"findings":[{"name":"disk","severity":"hard","member":"n2","what":"too small"}],"members":[]}`)
	k := talkTo(t, r, []string{"THESEUS_TOKEN=x"}, "system", "upgrade", "--staged")
	if code := k.ends(); code != 6 || k.started(r) || !strings.Contains(k.all, "found (hard) disk: n2: too small") ||
		strings.Contains(k.all, "yes or no") {
		t.Errorf("exit code %d:\n%s", code, k.all)
	}
}

const bringsData = `GET /system/upgrade/status?consistent=true 200 {"Params":{"status":"staged","from-version":"1.0.0","to-version":"1.1.0","archive":"sha256:cd",` +
	`"migration":{"state":"waiting","migrations":[{"name":"room","phase":"expand"},{"name":"item-form","phase":"migrate"}]}}}`

func TestTheModeIsAskedForWhenThereIsDataToMigrate(t *testing.T) {
	r := guided(t, bringsData, bringsData, isFinished)
	k := talkTo(t, r, []string{"THESEUS_TOKEN=x"}, "system", "upgrade", "--staged")
	k.expect("Mode, complete or background [complete]: ")
	k.typed("later\n")
	k.expect("Mode, complete or background [complete]: ")
	k.typed("background\n")
	k.expect("(yes or no) [no]: ")
	k.typed("yes\n")
	if code := k.ends(); code != 0 || !strings.Contains(r.requests(), `POST /system/upgrade/run Bearer:x {"mode":"background"}`) {
		t.Errorf("exit code %d, asked\n%s", code, r.requests())
	}
}

func TestAModeThatWasSaidIsNotAskedFor(t *testing.T) {
	for _, said := range [][]string{{"THESEUS_MODE=background"}, {"THESEUS_YES=true"}} {
		r := guided(t, bringsData, bringsData, isFinished)
		k := talkTo(t, r, append(said, "THESEUS_TOKEN=x"), "system", "upgrade", "--staged")
		if said[0] != "THESEUS_YES=true" {
			k.expect("(yes or no) [no]: ")
			k.typed("yes\n")
		}
		if code := k.ends(); code != 0 || strings.Contains(k.all, "Mode,") || !k.started(r) {
			t.Errorf("%s: exit code %d:\n%s", said, code, k.all)
		}
	}
}

func TestAnInterruptAtThePasswordLeavesATerminalThatShowsWhatIsTyped(t *testing.T) {
	r := guided(t, "GET /info 401 "+nobody)
	k := talkTo(t, r, nil, "system", "upgrade")
	k.expect("User [admin]: ")
	k.typed("\n")
	k.expectSecret()
	k.typed("se\x03")
	if code := k.ends(); code != 130 || strings.Contains(k.all, "Password: se") {
		t.Errorf("exit code %d:\n%s", code, k.all)
	}
	if !k.echoes() {
		t.Error("the terminal stays without echo")
	}
}

func TestALoginThatIsGivenAndRefusedIsNotAskedFor(t *testing.T) {
	r := guided(t, "GET /info 401 "+nobody)
	k := talkTo(t, r, []string{"THESEUS_TOKEN=stale"}, "system", "upgrade")
	if code := k.ends(); code != 4 || strings.Contains(k.all, "User") {
		t.Errorf("exit code %d:\n%s", code, k.all)
	}
}

func TestACertificateOfNobodyKnownIsAskedAbout(t *testing.T) {
	r := guided(t, isStaged)
	k := talkTo(t, r, []string{"THESEUS_TOKEN=x", "THESEUS_CA_CERT="}, "system", "upgrade", "--staged")
	k.expect("File with the CA certificate of the cluster: ")
	k.typed(filepath.Join(r.dir, "ca.pem") + "\n")
	k.expect("(yes or no) [no]: ")
	k.typed("no\n")
	if code := k.ends(); code != 1 {
		t.Errorf("exit code %d:\n%s", code, k.all)
	}
}

func TestAnUpgradeThatIsUnderWayIsFollowed(t *testing.T) {
	r := guided(t, `GET /system/upgrade/status?consistent=true 200 {"Params":{"status":"working","to-version":"1.1.0"}}`, isFinished)
	k := talkTo(t, r, []string{"THESEUS_TOKEN=x"}, "system", "upgrade")
	k.expect("the upgrade to 1.1.0 is under way")
	if code := k.ends(); code != 0 || k.started(r) || !strings.Contains(k.all, "finished: well") {
		t.Errorf("exit code %d:\n%s", code, k.all)
	}
}
