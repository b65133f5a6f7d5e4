package binary

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ReportVersion is the latest version of the self-check report that this program
// writes; it reads every one up to it. Since 2 a self-check also replays commands;
// since 3 the daemon gives signs of life while an attempt is open.
const ReportVersion = 3

// Report is what a new executable's self-check prints as JSON on its standard
// output: what it is and what it found wrong. No findings means that it can
// take over.
type Report struct {
	V        int      `json:"v"`
	Version  string   `json:"version"`
	Image    string   `json:"image"` // sha256:<hex> of its running image
	Platform string   `json:"platform"`
	Digest   string   `json:"digest"` // of the state as it read it
	Findings []string `json:"findings"`

	// Since version 2.
	Replayed     int      `json:"replayed,omitempty"`     // commands applied to the copy before Digest was taken
	Tried        string   `json:"tried,omitempty"`        // the digest after the samples that followed
	Steps        []string `json:"steps,omitempty"`        // the beginnings of those after each command, if asked for
	Capabilities uint64   `json:"capabilities,omitempty"` // effective ones of its process

	Took time.Duration `json:"-"` // measured by the caller, start of the process included
}

const (
	outputLimit = 64 << 10 // of a self-check, stdout and stderr each
	tailLimit   = 2 << 10  // of its stderr in an error
)

// As is r in the version that the caller reads, which may be an earlier one.
func (r Report) As(version int) Report {
	r.V = max(1, min(version, ReportVersion))
	if r.V < 2 {
		r.Replayed, r.Tried, r.Steps, r.Capabilities = 0, "", nil, 0
	}
	return r
}

// Replays says whether the self-check that wrote r can replay commands.
func (r Report) Replays() bool { return r.V >= 2 }

// Beats says whether the daemon that goes with r gives signs of life.
func (r Report) Beats() bool { return r.V >= 3 }

// SelfCheck runs `next self-check --report=N args…` for at most limit; what it
// answers may be of an earlier version than N. The error
// says in words why there is no report: it could not be executed, it exited
// badly, was killed, said nothing in time or something else than a report.
func SelfCheck(ctx context.Context, next string, args []string, limit time.Duration) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	stdout, stderr, err := runTrial(ctx, next, args)
	if ctx.Err() == context.DeadlineExceeded {
		return Report{}, fmt.Errorf("trial run of %s: no answer within %s%s", next, limit, tail(stderr))
	}
	if err != nil {
		return Report{}, fmt.Errorf("trial run of %s: %w%s", next, err, tail(stderr))
	}
	r, err := readReport(stdout)
	if err != nil {
		return Report{}, fmt.Errorf("trial run of %s: %w", next, err)
	}
	r.Took = time.Since(began)
	return r, nil
}

func readReport(stdout []byte) (r Report, err error) {
	if len(stdout) > outputLimit {
		return r, fmt.Errorf("it printed more than %d bytes", outputLimit)
	}
	var head struct {
		V int `json:"v"`
	}
	if json.Unmarshal(stdout, &head) != nil || head.V < 1 || head.V > ReportVersion {
		head.V = ReportVersion // what decode says it wants
	}
	if err := decode(stdout, head.V, &r); err != nil {
		return r, fmt.Errorf("what it printed is not a report of version 1 to %d: %w%s", ReportVersion, err, tail(stdout))
	}
	if r.Version == "" || r.Image == "" || r.Platform == "" {
		return r, errors.New("its report does not say version, image and platform")
	}
	return r, nil
}

func runTrial(ctx context.Context, next string, args []string) (stdout, stderr []byte, err error) {
	for {
		out, errs := &bounded{limit: outputLimit}, &bounded{limit: outputLimit}
		cmd := exec.CommandContext(ctx, next, append([]string{"self-check", fmt.Sprintf("--report=%d", ReportVersion)}, args...)...)
		cmd.Env = startEnv(os.Environ())
		cmd.Stdout, cmd.Stderr = out, errs
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) } // its children too
		cmd.WaitDelay = time.Second
		err = cmd.Run()
		// A fork elsewhere in this process may hold the file open for writing
		// until its exec (golang.org/issue/22315).
		if !errors.Is(err, unix.ETXTBSY) || !pause(ctx, busyPause) {
			return out.Bytes(), errs.Bytes(), err
		}
	}
}

const busyPause = 10 * time.Millisecond

// pause answers false when ctx ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// bounded keeps one byte more than limit, so that too much can be told, and
// swallows the rest.
type bounded struct {
	bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), b.limit+1-b.Len())])
	return len(p), nil
}

// tail is the end of a program's output, to be put behind an error.
func tail(out []byte) string {
	text := strings.TrimSpace(string(bytes.ToValidUTF8(out, []byte("?"))))
	if text == "" {
		return ""
	}
	return ": " + text[max(0, len(text)-tailLimit):]
}
