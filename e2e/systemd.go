package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Machine is a systemd that is PID 1 in namespaces of its own, with a control
// group of its own, on an overlay of this machine's files. It knows no units but
// its own, and its /proc/sys is read-only: nothing that it does reaches beyond,
// but into the directory it shares and over the network.
type Machine struct {
	dir    string // of its own
	shared string // the one directory it has in common with this machine
	cmd    *exec.Cmd
	ended  chan struct{} // closed when cmd has
	pid    int           // of its systemd, as seen from here
}

// machine1 makes a control group for the machine and goes on in it.
const machine1 = `
mount -t cgroup2 cgroup2 "$DIR/cgroup"
mkdir "$DIR/cgroup/$GROUP"
echo $$ > "$DIR/cgroup/$GROUP/cgroup.procs"
umount "$DIR/cgroup"
exec unshare --cgroup --mount --pid --uts --ipc --propagation private --fork --kill-child sh -e -c "$SCRIPT"
`

// machine2 makes the machine's root and becomes its systemd.
const machine2 = `
mount -t tmpfs -o mode=755 tmpfs "$DIR/layer"
mkdir "$DIR/layer/upper" "$DIR/layer/work" "$DIR/layer/root"
root=$DIR/layer/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$DIR/layer/upper,workdir=$DIR/layer/work" "$root"
mount -t proc proc "$root/proc"
for path in sys sysrq-trigger; do
	[ -e "$root/proc/$path" ] || continue
	mount --bind "$root/proc/$path" "$root/proc/$path"
	mount -o remount,bind,ro "$root/proc/$path"
done
mount --bind /sys "$root/sys"
mount -o remount,bind,ro "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
	touch "$root/dev/$name"
	mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir -p "$root/run/units" "$root/run/none" "$root$SHARED"
cp "$DIR"/units/* "$root/run/units"
mount --bind "$SHARED" "$root$SHARED"
mkdir "$root/run/old"
cd "$root"
pivot_root . run/old
umount -l /run/old
exec env -i container=theseus PATH="$PATH" LANG=C \
	SYSTEMD_UNIT_PATH=/run/units SYSTEMD_GENERATOR_PATH=/run/none SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/none \
	/lib/systemd/systemd --system --unit=basic.target --show-status=no --log-target=null
`

// targets are all that a service with default dependencies wants of a machine.
var targets = []string{"sysinit", "basic", "shutdown", "network-online", "multi-user"}

// BootSystemd boots a machine below dir that shares the directory shared, with
// units by their file names.
func BootSystemd(ctx context.Context, dir, shared string, units map[string]string) (*Machine, error) {
	m := &Machine{dir: dir, shared: shared}
	for _, sub := range []string{"cgroup", "layer", "units"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	all := map[string]string{}
	for _, name := range targets {
		all[name+".target"] = "[Unit]\nDefaultDependencies=no\n"
	}
	for name, text := range units {
		all[name] = text
	}
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(dir, "units", name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return m, m.boot(ctx)
}

func (m *Machine) boot(ctx context.Context) error {
	log, err := os.Create(filepath.Join(m.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	m.cmd = exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-e", "-c", machine1)
	m.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DIR=" + m.dir, "SHARED=" + m.shared, "GROUP=" + m.group(), "SCRIPT=" + machine2}
	m.cmd.Stdout, m.cmd.Stderr = log, log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := m.cmd.Start(); err != nil {
		return fmt.Errorf("boot a systemd: %w", err)
	}
	m.ended = make(chan struct{})
	booting, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	go func() {
		err := m.cmd.Wait()
		giveUp(fmt.Errorf("it ended: %w", err))
		close(m.ended)
	}()
	err = Until(booting, "systemd to boot", func() (bool, error) {
		if m.pid, err = child(m.cmd.Process.Pid); err != nil {
			return false, err
		}
		out, err := m.Systemctl(booting, "is-active", "basic.target")
		return strings.TrimSpace(out) == "active", err
	})
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		return errors.Join(fmt.Errorf("%w: %s", err, said), m.Halt(context.WithoutCancel(ctx)))
	}
	return nil
}

// group is the name of its control group, as unlike others as the shared directory.
func (m *Machine) group() string { return filepath.Base(m.shared) }

// child is the only child of process pid.
func child(pid int) (int, error) {
	raw, err := os.ReadFile(procPath(pid, filepath.Join("task", strconv.Itoa(pid), "children")))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(raw)))
}

// Systemctl runs systemctl in the machine.
func (m *Machine) Systemctl(ctx context.Context, args ...string) (string, error) {
	at := []string{"--target", strconv.Itoa(m.pid), "--mount", "--pid", "--cgroup", "systemctl"}
	return output(ctx, "/", []string{"PATH=" + os.Getenv("PATH"), "LANG=C"}, "nsenter", append(at, args...)...)
}

// Property is what systemd says of a unit, such as NRestarts.
func (m *Machine) Property(ctx context.Context, unit, name string) (string, error) {
	out, err := m.Systemctl(ctx, "show", unit, "--property", name, "--value")
	return strings.TrimSpace(out), err
}

// removeGroup removes the control group, the innermost first.
const removeGroup = `
mount -t cgroup2 cgroup2 "$DIR/cgroup"
find "$DIR/cgroup/$GROUP" -depth -type d -exec rmdir {} +
`

// Halt ends everything that runs in the machine at once.
func (m *Machine) Halt(ctx context.Context) error {
	err := m.cmd.Process.Kill() // and its child with it, and so all
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-m.ended
	return errors.Join(err, Until(ctx, "the machine's processes to be gone", func() (bool, error) {
		_, err := output(ctx, "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DIR=" + m.dir, "GROUP=" + m.group()},
			"unshare", "--mount", "--propagation", "private", "sh", "-e", "-c", removeGroup)
		return err == nil, err
	}))
}
