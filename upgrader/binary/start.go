package binary

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Start is how to start the daemon again as it was started.
type Start struct {
	Argv []string `json:"argv"`
	Env  []string `json:"env"`
	Dir  string   `json:"dir"`
}

// CurrentStart is how this process was started. Of the environment it keeps what
// the daemon reads, not what may be a stranger's secret: it is written to disk.
func CurrentStart() (Start, error) {
	dir, err := os.Getwd()
	if err != nil {
		return Start{}, fmt.Errorf("find the working directory: %w", err)
	}
	return Start{Argv: slices.Clone(os.Args), Env: startEnv(os.Environ()), Dir: dir}, nil
}

// startEnv is the part of env that a daemon, a watcher or a trial run needs.
// Left out besides what is unknown: what belongs to one process alone
// (NOTIFY_SOCKET, WATCHDOG_*, INVOCATION_ID, inherited descriptors) and secrets
// that are of use on a member's first start only.
func startEnv(env []string) []string {
	var kept []string
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if wanted(name) && (name != "GOTRACEBACK" || value != "none") {
			kept = append(kept, entry)
		}
	}
	return kept
}

func wanted(name string) bool {
	switch name {
	case inheritVariable, "THESEUS_ADMIN_PASSWORD", "THESEUS_JOIN_TOKEN":
		return false
	case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR", "LANG",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy",
		"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GORACE",
		// Go itself sets it to "none" in a program with file capabilities
		// (runtime/security_unix.go); startEnv drops that.
		"GOTRACEBACK":
		return true
	}
	for _, prefix := range []string{"THESEUS_", "XDG_", "LC_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Supervised says whether something else starts this process again when it dies.
func Supervised() bool { return bySystemd() || parentSupervises() }

// bySystemd: systemd names the process it started in SYSTEMD_EXEC_PID.
// INVOCATION_ID alone is handed on to everything started below a service, a
// terminal for example.
func bySystemd() bool {
	if pid, there := os.LookupEnv("SYSTEMD_EXEC_PID"); there {
		return pid == strconv.Itoa(os.Getpid())
	}
	_, there := os.LookupEnv("INVOCATION_ID")
	return there
}

// parentSupervises knows the supervisors whose run script becomes the daemon:
// runit, s6 and daemontools.
func parentSupervises() bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", os.Getppid()))
	return err == nil && slices.Contains([]string{"runsv", "s6-supervise", "supervise"}, strings.TrimSpace(string(name)))
}
