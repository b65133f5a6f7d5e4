package preflight

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/model"
)

// inodes are the files that an upgrade makes at most at one time: copies, a kept
// executable, records of the attempt, and what is only there for a moment.
const inodes = 64

// room finds too little space for a process without the right to the reserve.
func (m Machine) room(bytes uint64) []model.Finding {
	var st unix.Statfs_t
	if err := unix.Statfs(m.Data, &st); err != nil {
		return []model.Finding{{Name: Disk, Severity: model.Hard, What: "look at the file system of " + m.Data + ": " + err.Error(),
			Remedy: "mount it, and let this member's user read it"}}
	}
	var found []model.Finding
	if free := st.Bavail * uint64(st.Bsize); free < bytes {
		found = append(found, model.Finding{Name: Disk, Severity: model.Hard, What: "too little disk is free in " + m.Data,
			Measured: mib(free), Limit: mib(bytes + 1<<20 - 1), Remedy: "free or add disk space there"})
	}
	if st.Files > 0 && st.Ffree < inodes {
		found = append(found, model.Finding{Name: Inodes, Severity: model.Hard, What: "too few inodes are free in " + m.Data,
			Measured: strconv.FormatUint(st.Ffree, 10), Limit: strconv.Itoa(inodes), Remedy: "remove files there"})
	}
	return found
}

func mib(bytes uint64) string { return strconv.FormatUint(bytes>>20, 10) + " MiB" }

const (
	block       = 4 << 10
	writes      = 8
	latencyMost = 100 * time.Millisecond
	// latencyStop ends the measuring on a disk that is far too slow anyway.
	latencyStop = time.Second
)

// writing tries to write into the data directory and have it on disk, and how long
// that takes.
func (m Machine) writing() []model.Finding {
	took, err := m.write()
	if err != nil {
		return []model.Finding{{Name: ReadOnly, Severity: model.Hard, What: fmt.Sprintf("nothing can be written in %s: %v", m.Data, err),
			Remedy: remedyFor(err)}}
	}
	return slow(took)
}

func remedyFor(err error) string {
	switch {
	case errors.Is(err, unix.EROFS):
		return "mount the file system writable; if the kernel made it read-only, its log says why"
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return "free or add disk space there"
	}
	return fmt.Sprintf("let the user with uid %d create files in it", os.Geteuid())
}

// write writes and syncs blocks one by one. Its file loses its name at once, and
// begins as those of a trial run do, so that nothing is left however it ends.
func (m Machine) write() (took []time.Duration, err error) {
	f, err := os.CreateTemp(m.Data, "self-check-write-*")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return nil, err
	}
	began := time.Now()
	for i := range writes {
		last := time.Now()
		if _, err := f.WriteAt(make([]byte, block), int64(i*block)); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(last))
		if time.Since(began) > latencyStop {
			break
		}
	}
	return took, nil
}

// slow judges by the median: one write may have waited for others.
func slow(took []time.Duration) []model.Finding {
	slices.Sort(took)
	median := took[len(took)/2]
	if median <= latencyMost {
		return nil
	}
	return []model.Finding{{Name: DiskLatency, Severity: model.Advice, What: "the disk is slow: to write 4 KiB and have them on disk takes long",
		Measured: median.Round(time.Millisecond).String(), Limit: latencyMost.String(),
		Remedy: "find out what else writes there, or choose a quieter hour"}}
}

// errors are those that the kernel has met in the file system of the data directory
// since it was checked last. Only ext4 counts them.
func (m Machine) errors() []model.Finding {
	device, err := m.device()
	if err != nil {
		return nil
	}
	raw, err := os.ReadFile(filepath.Join(m.Sys, "fs/ext4", device, "errors_count"))
	if err != nil {
		return nil
	}
	count := strings.TrimSpace(string(raw))
	if count == "0" {
		return nil
	}
	return []model.Finding{{Name: DiskErrors, Severity: model.Soft, What: fmt.Sprintf("the kernel met errors in the file system of %s on %s", m.Data, device),
		Measured: count, Limit: "0", Remedy: "save the data, and check the disk and the file system (e2fsck)"}}
}

// device is the kernel's name of the block device below the data directory.
func (m Machine) device() (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(m.Data, &st); err != nil {
		return "", err
	}
	link := fmt.Sprintf("dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	at, err := os.Readlink(filepath.Join(m.Sys, link))
	return filepath.Base(at), err
}
