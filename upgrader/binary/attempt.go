package binary

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Attempt is what is written down before a swap, so that whoever comes after a
// crash knows what was meant. It lies beside the executable from Arm until Close.
type Attempt struct {
	V          int    `json:"v"`
	Upgrade    string `json:"upgrade"`
	Member     string `json:"member"`
	Number     int    `json:"attempt"`
	DataDir    string `json:"data-dir"`
	Binary     string `json:"binary"`    // the path that is swapped
	OldImage   string `json:"old-image"` // sha256:<hex>
	NewImage   string `json:"new-image"`
	Next       fileID `json:"next"`     // of the file that was hashed
	Deadline   string `json:"deadline"` // of the member's turn, for people and later healers
	Start      Start  `json:"start"`
	Supervised bool   `json:"supervised"` // something else starts the daemon when it dies
	Kernel     string `json:"kernel"`     // boot id: after a reboot nothing here is under way
	Started    string `json:"started"`    // RFC 3339, for people
}

// Attempt reads the record of the open attempt; open is false when there is none.
func (o *Own) Attempt() (a Attempt, open bool, err error) {
	open, err = o.read("attempt", &a)
	return a, open, err
}

// Close ends the attempt, if one is open: its watcher goes away and the daemon
// is on its own again. May be called again.
func (o *Own) Close() error { return o.drop("attempt") }

// Verdict is what the healer, always old code, wrote of an attempt.
type Verdict struct {
	V       int    `json:"v"`
	Upgrade string `json:"upgrade"`
	Attempt int    `json:"attempt"`
	Deaths  int    `json:"deaths"`   // unclean ends of the daemon within the attempt
	PutBack bool   `json:"put-back"` // the old executable is at the path again
	Reason  string `json:"reason"`   // of the last death or of putting back
}

// Verdict reads what the healer last wrote; found is false when there is
// nothing. It may be of an earlier attempt: compare.
func (o *Own) Verdict() (v Verdict, found bool, err error) {
	found, err = o.read("verdict", &v)
	return v, found, err
}

// Expelled fails when this process runs an executable that was put back within
// the open attempt: it was started too quickly, and must go. The daemon asks at
// its start, once it has the data directory.
func (o *Own) Expelled() error {
	a, open, err := o.Attempt()
	if err != nil || !open || o.Image != a.NewImage {
		return err
	}
	v, err := o.verdictOn(a)
	if err != nil || !v.PutBack {
		return err
	}
	return fmt.Errorf("this executable was put back (%s): start the one at %s", v.Reason, o.Path)
}

// verdictOn is the verdict on a so far. A death is in ends before it is in the
// verdict, and whoever wrote it down may have been killed in between.
func (o *Own) verdictOn(a Attempt) (Verdict, error) {
	v, found, err := o.Verdict()
	if err != nil {
		return v, err
	}
	if !found || v.Upgrade != a.Upgrade || v.Attempt != a.Number {
		v = Verdict{V: recordVersion, Upgrade: a.Upgrade, Attempt: a.Number}
	}
	e, _, err := o.endsOf(a)
	if err == nil && e.Deaths > v.Deaths {
		v.Deaths = e.Deaths
		if !v.PutBack {
			v.Reason = "how is not known: whoever saw it was ended with it"
		}
	}
	return v, err
}

// stopping is the daemon's word that it ends on purpose.
type stopping struct {
	V       int    `json:"v"`
	Upgrade string `json:"upgrade"`
	Attempt int    `json:"attempt"`
	PID     int    `json:"pid"`
	Next    bool   `json:"next"` // the supervisor is to start what is at the path
}

// Stopping tells the watcher that the end of this process is wanted: nobody is
// to start it again. Call it first thing on SIGTERM; it does nothing when no
// attempt is open.
func (o *Own) Stopping() error { return o.stopping(false) }

// Yielding tells the watcher that this process ends for its supervisor to start
// what is at the path now: that is no death, and the watcher follows the next.
// Call it after Swap, in the place of Exec; it does nothing when no attempt is open.
func (o *Own) Yielding() error { return o.stopping(true) }

func (o *Own) stopping(next bool) error {
	a, open, err := o.Attempt()
	if err != nil || !open {
		return err
	}
	return o.write("stopped", stopping{recordVersion, a.Upgrade, a.Number, os.Getpid(), next})
}

// stopped is the last word of process pid within a; said is false if it ended without.
func (o *Own) stopped(a Attempt, pid int) (s stopping, said bool) {
	found, err := o.read("stopped", &s)
	return s, err == nil && found && s.Upgrade == a.Upgrade && s.Attempt == a.Number && s.PID == pid
}

// kernelBoot is the id of this boot of the kernel.
func kernelBoot() (string, error) {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id of the kernel: %w", err)
	}
	id := strings.TrimSpace(string(raw))
	if id == "" {
		return "", errors.New("read the boot id of the kernel: it is empty")
	}
	return id, nil
}
