package binary

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// HeldError says that another daemon has the data directory.
type HeldError struct {
	Dir string
	PID int // of the holder; 0 when it has not said yet
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("data directory %s is in use by process %d", e.Dir, e.PID)
}

// LockDataDir takes the data directory for this process, or fails with a
// *HeldError. The lock ends with the last descriptor of the file: keep it open,
// and hand it over at Exec.
func LockDataDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(lockPath(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := tryLock(f, dir); err != nil {
		f.Close()
		return nil, err
	}
	if err := writePID(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	return f, nil
}

func lockPath(dir string) string { return filepath.Join(dir, "lock") }

// tryLock bears with a watcher that looks for a moment whether the lock is free:
// then no living process stands in the file.
func tryLock(f *os.File, dir string) error {
	const looks, pause = 40, 25 * time.Millisecond
	for n := 0; ; n++ {
		err := flock(f, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("lock data directory %s: %w", dir, err)
		}
		pid := readPID(f)
		if alive(pid) || n == looks {
			return &HeldError{Dir: dir, PID: pid}
		}
		time.Sleep(pause)
	}
}

// holder is the process that has the data directory; held without a pid means
// that it has not written it yet.
func holder(dir string) (pid int, held bool, err error) {
	f, err := os.Open(lockPath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("look at the lock of the data directory: %w", err)
	}
	defer f.Close()
	// A shared lock is enough to see an exclusive one, and is gone with f.
	err = flock(f, unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return readPID(f), true, nil
	}
	return 0, false, err
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return err
	}
	return f.Sync()
}

func readPID(f *os.File) int {
	raw := make([]byte, 32)
	n, _ := f.ReadAt(raw, 0)
	pid, err := strconv.Atoi(string(bytes.TrimSpace(raw[:n])))
	if err != nil {
		return 0
	}
	return pid
}

func alive(pid int) bool {
	return pid > 0 && !errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}

func flock(f *os.File, how int) error {
	var err error
	if e := control(f, func(fd uintptr) { err = unix.Flock(int(fd), how) }); e != nil {
		return e
	}
	return err
}
