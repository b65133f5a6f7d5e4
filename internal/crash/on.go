//go:build crash

package crash

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
)

// Enabled says whether this build can be told to die.
const Enabled = true

// Point runs effect. If the environment says THESEUS_CRASH=name:before or
// name:after, this process kills itself there, as SIGKILL would from outside,
// and leaves a line in the file THESEUS_CRASH_LOG first, so that a test can tell
// a point that was reached from one that was not.
func Point(name string, effect func() error) error {
	if !slices.Contains(Points(), name) {
		panic("crash point " + name + " is not in the table")
	}
	die(name, "before")
	if err := effect(); err != nil {
		return err
	}
	die(name, "after")
	return nil
}

// Arrived stands where an effect comes out that does not return: in the next image.
func Arrived(name string) { die(name, "after") }

func die(name, when string) {
	at, side, _ := strings.Cut(os.Getenv("THESEUS_CRASH"), ":")
	if at != name || side != when {
		return
	}
	log := os.Getenv("THESEUS_CRASH_LOG")
	if log != "" && !first(log, name+":"+when) {
		return
	}
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// first notes in path that this process dies at point. It answers false when an
// earlier life already did: one kill is asked for, not one a life.
func first(path, point string) bool {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return false
	}
	defer f.Close()
	fmt.Fprintf(f, "%s pid %d\n", point, os.Getpid())
	return f.Sync() == nil
}
