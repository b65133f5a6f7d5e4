package binary

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/model"
)

// Finding is one prerequisite that does not hold, for the operator.
type Finding struct {
	Name   string // which prerequisite, such as "binary writable"
	Path   string
	What   string // what is wrong
	Remedy string // what to do about it
}

func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s: %s", f.Name, f.Path, f.What, f.Remedy)
}

// Prerequisites looks at what must hold for the executable to be replaced, for
// the member with this data directory. The next executable may take room bytes,
// or twice what this one takes, whichever is more. It really tries what a swap
// does, on a file of its own, and leaves nothing behind. What it says of the CLI
// comes last. May be called at any time and again.
func (o *Own) Prerequisites(ctx context.Context, dataDir string, room uint64) []Finding {
	o.files.Lock()
	defer o.files.Unlock()
	found := alone(o.Path, os.Getpid())
	if err := o.Present(); err != nil {
		found = append(found, Finding{"own binary found", o.Path, err.Error(), "put the executable there, then stage again"})
	} else {
		found = append(found, o.replaceable(ctx, dataDir, room)...)
	}
	if o.CLI != nil {
		found = append(found, o.CLI.replaceable(ctx, o.Path)...)
	}
	return found
}

// replaceable is what stands against replacing an executable that is there.
func (o *Own) replaceable(ctx context.Context, dataDir string, room uint64) []Finding {
	var found []Finding
	if err := writable(o.Path); err != nil {
		found = append(found, Finding{"binary writable", o.Path, err.Error(),
			allow(err, "write it (chown, chmod u+w, chattr -i)")})
	}
	if err := o.altered(); err != nil {
		found = append(found, Finding{"binary as it runs", o.Path, err.Error(),
			"give it what the running one has (chown, chmod, setcap), or restart this member on it"})
	}
	if err := mounted(o.Path); err != nil {
		found = append(found, Finding{"binary no mount point", o.Path, err.Error(), "mount its directory in place of the file"})
	}
	if err := o.rehearse(); err != nil {
		return append(found, Finding{"directory writable", o.dir(), err.Error(), allow(err, "create and rename files in it")})
	}
	if err := o.rehearseLooks(ctx); err != nil {
		found = append(found, o.unrestorable(err))
	}
	if err := o.Claim(dataDir); err != nil {
		found = append(found, Finding{"binary its own", o.Path, err.Error(), "give each member an executable of its own"})
	}
	if f := Room(o.dir(), max(room, o.twice())); f != nil {
		found = append(found, *f)
	}
	return found
}

// allow is the remedy for what this process may not do.
func allow(err error, what string) string {
	if errors.Is(err, unix.EROFS) {
		return "mount the file system writable, or move the executable to one that is"
	}
	return fmt.Sprintf("let the user with uid %d %s", os.Geteuid(), what)
}

// twice is room for the next executable and for a copy of this one, which is
// only made where linking cannot be.
func (o *Own) twice() uint64 {
	info, err := os.Stat(o.Path)
	if err != nil {
		return 0
	}
	return 2 * uint64(info.Size())
}

// Room finds out whether bytes more fit into dir's file system, for a process
// without the right to the reserve; nil means yes.
func Room(dir string, bytes uint64) *Finding {
	const remedy = "free or add disk space there"
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return &Finding{"disk room", dir, err.Error(), remedy}
	}
	if free := st.Bavail * uint64(st.Bsize); free < bytes {
		return &Finding{"disk room", dir, fmt.Sprintf("%d MiB are needed, %d MiB are free", mib(bytes), free>>20), remedy}
	}
	const names = 16 // temp files, records and kept executables of one upgrade
	if st.Files > 0 && st.Ffree < names {
		return &Finding{"disk room", dir, fmt.Sprintf("%d inodes are needed, %d are free", names, st.Ffree), "remove files there"}
	}
	return nil
}

func mib(bytes uint64) uint64 { return (bytes + 1<<20 - 1) >> 20 }

// writable asks the kernel: opening a running executable for writing would say
// "text file busy" whatever the permissions are.
func writable(path string) error {
	err := unix.Access(path, unix.W_OK)
	if errors.Is(err, unix.EACCES) { // for the real user; the effective one may do more
		err = unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS)
	}
	if err != nil {
		return fmt.Errorf("this process may not write it: %w", err)
	}
	return nil
}

// rehearse creates and removes a file in the directory, and finds out whether
// the executable may be renamed over there.
func (o *Own) rehearse() error {
	f, err := os.CreateTemp(o.dir(), filepath.Base(o.beside("part-*")))
	if err != nil {
		return err
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return err
	}
	return o.sticky()
}

// sticky fails where only the owner of a file may rename over it.
func (o *Own) sticky() error {
	var dir, file unix.Stat_t
	if err := errors.Join(unix.Stat(o.dir(), &dir), unix.Lstat(o.Path, &file)); err != nil {
		return err
	}
	me := uint32(os.Geteuid())
	if dir.Mode&unix.S_ISVTX != 0 && me != 0 && me != dir.Uid && me != file.Uid {
		return errors.New("it is sticky, and neither it nor the executable belongs to this user")
	}
	return nil
}

// rehearseLooks gives a file in the directory what the next executable will get:
// owner, mode and capabilities.
func (o *Own) rehearseLooks(ctx context.Context) error {
	tmp, err := o.temp(nil)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	looks, err := o.looks()
	if err != nil {
		return err
	}
	return looks.give(ctx, tmp)
}

func (o *Own) unrestorable(err error) Finding {
	caps, _ := ReadCapabilities(o.Path)
	if caps.None() {
		return Finding{"owner and mode restorable", o.Path, err.Error(),
			fmt.Sprintf("let it belong to the user with uid %d", os.Geteuid())}
	}
	with := caps
	with.Permitted |= 1 << unix.CAP_SETFCAP
	return Finding{"capabilities restorable", o.Path, err.Error(), fmt.Sprintf(
		"run `setcap %s %s` and restart this member, or allow its user `sudo -n setcap`; or by hand: stop it, put the new executable there, run `setcap %s %s`, start it",
		with, o.Path, caps, o.Path)}
}

// ownership is what lies beside the executable for another member to find.
type ownership struct {
	V       int    `json:"v"`
	DataDir string `json:"data-dir"`
}

// Claim notes beside the executable whose it is. It fails if it belongs to a
// member with another data directory that still exists: replacing it would
// replace the binary under that member too. May be called again.
func (o *Own) Claim(dataDir string) error {
	mine, err := filepath.EvalSymlinks(dataDir)
	if err == nil {
		mine, err = filepath.Abs(mine)
	}
	if err != nil {
		return fmt.Errorf("claim the executable: %w", err)
	}
	var there ownership
	found, err := o.read("owner", &there)
	if err != nil {
		return err
	}
	if found && there.DataDir == mine {
		return nil
	}
	if found {
		if _, err := os.Stat(there.DataDir); !errors.Is(err, os.ErrNotExist) {
			return model.Problemf(model.Refused, "the member with data directory %s runs the same executable (remove %s if it does not any more)",
				there.DataDir, o.beside("owner"))
		}
	}
	return o.write("owner", ownership{recordVersion, mine})
}
