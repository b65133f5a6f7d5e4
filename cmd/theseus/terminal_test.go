package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onTerminal runs theseus with its stdout and stderr on a terminal of its own and
// answers what was written there.
func onTerminal(t *testing.T, r *recording, env []string, args ...string) string {
	t.Helper()
	control, tty := openTerminal(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{Path: program, Args: append([]string{"theseus"}, args...), Stdout: tty, Stderr: tty}
	cmd.Env = append([]string{"THESEUS_ENDPOINT=" + r.URL, "THESEUS_TOKEN=x", "THESEUS_CA_CERT=" + filepath.Join(r.dir, "ca.pem")}, env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	var all strings.Builder
	for b := make([]byte, 4096); ; {
		n, err := control.Read(b) // EIO when the last one has closed the other side
		all.Write(b[:n])
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, all.String())
	}
	return all.String()
}

// openTerminal opens both sides of a pseudo terminal of 80 columns, as pts(4) says.
func openTerminal(t *testing.T) (control, tty *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control.Close() })
	fd := int(control.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 25, Col: 80}); err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return control, tty
}

func TestATerminalGetsATableAndOneThatIsDumbGetsWhatAPipeGets(t *testing.T) {
	r := record(t, `GET /system/consensus/leader 200 "abcd"`)
	if got := onTerminal(t, r, nil, "system", "ha", "leader"); got != "abcd\r\n" {
		t.Errorf("terminal: %q", got)
	}
	if got := onTerminal(t, r, []string{"TERM=dumb"}, "system", "ha", "leader"); got != "\"abcd\"\r\n" {
		t.Errorf("dumb terminal: %q", got)
	}
}

func TestAnUploadIsOneLineDrawnAgainOnATerminal(t *testing.T) {
	digest := fmt.Sprintf("%x", sha256.Sum256(make([]byte, 11)))
	r := record(t, `GET /system/upgrade/stage?sha256=`+digest+` 404 {"Model":"uploads","Type":"GET","Messages":["nothing of it"],"Code":404}`,
		`POST /system/upgrade/stage?sha256=`+digest+` 201 {"Path":"sha256:ab","Size":11}`)
	file := filepath.Join(r.dir, "upgrade.zip")
	if err := os.WriteFile(file, make([]byte, 11), 0o600); err != nil {
		t.Fatal(err)
	}
	got := onTerminal(t, r, nil, "system", "upgrade", "stage", file)
	const clear = "\r\x1b[K"
	want := clear + "sent 100 % of 0.0 MiB" + clear + "sent 0.0 MiB; every member checks its copy" + clear +
		"staged on every member\r\nPath  sha256:ab\r\nSize  11\r\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAFollowedUpgradeIsLinesAndOneStatusLineAndNothingAServerSentSteersTheTerminal(t *testing.T) {
	r := record(t,
		`GET /system/upgrade/status 200 {"Params":{"status":"working","progress":30,"working-state":"`+strings.Repeat("long ", 30)+`","transcript":["one\u001b[2J"]}}`,
		`GET /system/upgrade/status 200 {"Params":{"status":"finished"}}`,
		`GET /system/upgrade/status?consistent=true 200 {"Params":{"status":"finished","progress":100,"final-state":"well","transcript":["one\u001b[2J","two"]}}`)
	got := onTerminal(t, r, nil, "system", "upgrade", "status", "--follow")
	const clear = "\r\x1b[K"
	drawn := "working 30 %, " + strings.Repeat("long ", 13)
	want := clear + "one[2J\r\n" + drawn + clear + "two\r\nfinished 100 %" + clear + "finished: well\r\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if len(drawn) != 79 {
		t.Errorf("the status line has %d columns of 80, so that it would wrap or be cut short", len(drawn))
	}
}
