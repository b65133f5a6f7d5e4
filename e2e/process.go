package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Process is what the kernel knows of a running process.
type Process struct {
	PID  int
	Exe  string // the path it was started from, even if another file is there now
	Args []string
}

// processesIn finds the processes whose executable lies below dir.
func processesIn(dir string) ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		exe, err := os.Readlink(procPath(pid, "exe"))
		if err != nil || !strings.HasPrefix(exe, dir+"/") {
			continue // a kernel thread, another user's, ended meanwhile, or not ours
		}
		line, _ := os.ReadFile(procPath(pid, "cmdline"))
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		found = append(found, Process{PID: pid, Exe: strings.TrimSuffix(exe, " (deleted)"), Args: args})
	}
	return found, nil
}

func procPath(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

// daemon says whether p serves, as opposed to watching or trying out.
func (p Process) daemon() bool {
	return len(p.Args) < 2 || strings.HasPrefix(p.Args[1], "-")
}

// Image is sha256:<hex> of what p runs, as the kernel has it.
func (p Process) Image() (string, error) { return FileImage(procPath(p.PID, "exe")) }

// FileImage is sha256:<hex> of a file.
func FileImage(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// Status is one field of /proc/PID/status, such as CapEff or RssAnon.
func (p Process) Status(field string) (string, error) { return p.field("status", field) }

// IO is one count of /proc/PID/io, such as write_bytes.
func (p Process) IO(field string) (int64, error) {
	value, err := p.field("io", field)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(value, 10, 64)
}

func (p Process) field(file, name string) (string, error) {
	raw, err := os.ReadFile(procPath(p.PID, file))
	if err != nil {
		return "", err
	}
	for line := range bytes.Lines(raw) {
		if key, value, _ := strings.Cut(string(line), ":"); key == name {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("%s has no %s", procPath(p.PID, file), name)
}

// CPU is the user and system time that p has used, in clock ticks of 10 ms.
func (p Process) CPU() (int64, error) {
	raw, err := os.ReadFile(procPath(p.PID, "stat"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(raw), ") ") // the name may hold blanks
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s is too short", procPath(p.PID, "stat"))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return user + system, err
}

func (p Process) signal(s syscall.Signal) error { return syscall.Kill(p.PID, s) }
