package binary

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Inheritance is what the image before this one left open. The zero value is
// nothing: a first start.
type Inheritance struct {
	Attempt string
	Leader  string // who led when the previous image ended
	Again   bool   // this process was another image before
	files   map[string]*os.File
}

// Inherited takes over what the image before passed on, once: the environment
// variable is gone afterwards, and no child gets the descriptors.
func Inherited() (*Inheritance, error) {
	raw, there := os.LookupEnv(inheritVariable)
	if !there {
		return &Inheritance{}, nil
	}
	if err := os.Unsetenv(inheritVariable); err != nil {
		return nil, fmt.Errorf("inherit: %w", err)
	}
	in, err := readInheritance([]byte(raw))
	if err != nil {
		return nil, fmt.Errorf("inherit: read %s: %w", inheritVariable, err)
	}
	i := &Inheritance{Attempt: in.Attempt, Leader: in.Leader, Again: true, files: map[string]*os.File{}}
	for name, fd := range in.Fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			return nil, errors.Join(fmt.Errorf("inherit %q: descriptor %d: %w", name, fd, err), i.Close())
		}
		i.files[name] = os.NewFile(uintptr(fd), name)
	}
	return i, nil
}

func readInheritance(raw []byte) (in inheritance, err error) {
	if err := decode(raw, inheritVersion, &in); err != nil {
		return in, err
	}
	for name, fd := range in.Fds {
		if fd < 3 {
			return in, fmt.Errorf("%q cannot be descriptor %d", name, fd)
		}
	}
	return in, nil
}

// Listener is the inherited listener of this name, or nil. It can be taken once.
func (i *Inheritance) Listener(name string) (net.Listener, error) {
	f := i.File(name)
	if f == nil {
		return nil, nil
	}
	defer f.Close() // FileListener works on a copy
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("inherit %q: %w", name, err)
	}
	return l, nil
}

// Conns are the inherited connections whose names begin with prefix. They can be
// taken once. One that cannot be taken over is closed, and does not keep the others.
func (i *Inheritance) Conns(prefix string) (conns []net.Conn, err error) {
	for name := range i.files {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		f := i.File(name)
		c, bad := net.FileConn(f) // works on a copy
		if bad = errors.Join(bad, f.Close()); c == nil {
			err = errors.Join(err, fmt.Errorf("inherit %q: %w", name, bad))
			continue
		}
		conns = append(conns, c)
	}
	return conns, err
}

// File is the inherited file of this name, or nil. It can be taken once.
func (i *Inheritance) File(name string) *os.File {
	f := i.files[name]
	delete(i.files, name)
	return f
}

// Close closes what nobody took.
func (i *Inheritance) Close() error {
	var errs []error
	for name := range i.files {
		errs = append(errs, i.File(name).Close())
	}
	return errors.Join(errs...)
}
