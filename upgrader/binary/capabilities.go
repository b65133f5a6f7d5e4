package binary

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/syndtr/gocapability/capability"
	"golang.org/x/sys/unix"
)

// Capabilities are the file capabilities of an executable. The zero value is
// none. Bit n of a set is capability number n.
type Capabilities struct {
	Permitted, Inheritable uint64
	Effective              bool // raised at exec, not only permitted
}

// None says whether the file has no capabilities.
func (c Capabilities) None() bool { return c.Permitted|c.Inheritable == 0 }

// String is the form that setcap reads and getcap prints, such as
// cap_net_bind_service,cap_setfcap=ep.
func (c Capabilities) String() string {
	e := ""
	if c.Effective {
		e = "e"
	}
	both := c.Permitted & c.Inheritable
	var clauses []string
	for _, one := range []struct {
		set   uint64
		flags string
	}{{c.Permitted &^ both, "p"}, {c.Inheritable &^ both, "i"}, {both, "ip"}} {
		if one.set != 0 {
			clauses = append(clauses, names(one.set)+"="+e+one.flags)
		}
	}
	return strings.Join(clauses, " ")
}

func names(set uint64) string {
	var all []string
	for n := range 64 {
		if set&(1<<n) == 0 {
			continue
		}
		name := capability.Cap(n).String()
		if name == "unknown" { // newer than the library: setcap reads numbers too
			name = strconv.Itoa(n)
		} else {
			name = "cap_" + name
		}
		all = append(all, name)
	}
	return strings.Join(all, ",")
}

// ReadCapabilities reads the file at path, which must not be a symlink. A file
// system that cannot hold capabilities has none; capabilities that are there and
// cannot be read are an error.
func ReadCapabilities(path string) (Capabilities, error) {
	return withInode(path, unix.O_NOFOLLOW, loadCapabilities)
}

// runningCapabilities reads those of the image that runs, replaced or not.
func runningCapabilities() (Capabilities, error) {
	return withInode(running, 0, loadCapabilities)
}

// withInode opens what is at path, without reading it, and calls f with a name
// that leads to this inode and nowhere else: the library takes names only and
// would follow a symlink put there in between.
func withInode(path string, flags int, f func(name string) (Capabilities, error)) (Capabilities, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return Capabilities{}, fmt.Errorf("capabilities of %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Capabilities{}, fmt.Errorf("capabilities of %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return Capabilities{}, fmt.Errorf("capabilities of %s: it is not a regular file", path)
	}
	c, err := f("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return c, fmt.Errorf("capabilities of %s: %w", path, err)
	}
	return c, nil
}

func loadCapabilities(name string) (c Capabilities, err error) {
	file, err := capability.NewFile2(name)
	if err == nil {
		err = file.Load()
	}
	if errors.Is(err, unix.EINVAL) {
		// gocapability answers EINVAL for every failure (capability_linux.go,
		// getVfsCap); the kernel says which one it was.
		_, cause := unix.Getxattr(name, "security.capability", nil)
		if errors.Is(cause, unix.ENOTSUP) {
			return c, nil
		}
		return c, errors.Join(errors.New("they cannot be read: not of a version that this program knows"), cause)
	}
	if err != nil {
		return c, fmt.Errorf("they cannot be read: %w", err)
	}
	for n := range 64 {
		bit := uint64(1) << n
		if file.Get(capability.PERMITTED, capability.Cap(n)) {
			c.Permitted |= bit
		}
		if file.Get(capability.INHERITABLE, capability.Cap(n)) {
			c.Inheritable |= bit
		}
		c.Effective = c.Effective || file.Get(capability.EFFECTIVE, capability.Cap(n))
	}
	return c, nil
}

// give sets c on the file at path: by itself, else through sudo; then it looks.
// Setting none is leaving the file alone: an empty set would leave an empty
// attribute behind.
func (c Capabilities) give(ctx context.Context, path string) error {
	if !c.None() {
		if err := c.set(path); err != nil {
			if bySudo := c.setBySudo(ctx, path); bySudo != nil {
				return errors.Join(err, bySudo)
			}
		}
	}
	got, err := ReadCapabilities(path)
	if err == nil && got != c {
		err = fmt.Errorf("capabilities of %s: set %q, found %q", path, c, got)
	}
	return err
}

func (c Capabilities) set(path string) error {
	_, err := withInode(path, unix.O_NOFOLLOW, func(name string) (Capabilities, error) {
		file, err := capability.NewFile2(name)
		if err == nil {
			err = file.Load() // also settles the version to write
		}
		if err != nil {
			return c, err
		}
		file.Clear(capability.CAPS)
		for n := range 64 {
			file.Set(c.kinds(n), capability.Cap(n))
		}
		return c, file.Apply(capability.CAPS)
	})
	return err
}

// kinds are the sets that capability n stands in.
func (c Capabilities) kinds(n int) (k capability.CapType) {
	if c.Permitted&(1<<n) != 0 {
		k |= capability.PERMITTED
	}
	if c.Inheritable&(1<<n) != 0 {
		k |= capability.INHERITABLE
	}
	if k != 0 && c.Effective {
		k |= capability.EFFECTIVE
	}
	return k
}

const sudoLimit = 10 * time.Second

func (c Capabilities) setBySudo(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, sudoLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sudo", "-n", "setcap", c.String(), path)
	cmd.Env = startEnv(os.Environ())
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("sudo -n setcap %q %s: %w%s", c, path, err, tail(out))
	}
	return nil
}
