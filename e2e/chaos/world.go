package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// worldEnv says which of three processes this is: the one that was started, the
// first process of a world of its own, or the one that does the work in it.
const worldEnv = "THESEUS_CHAOS_WORLD"

// enter does the work in a world of its own: processes, mounts and the network
// are in namespaces that end with their first process, whatever ended that.
func enter(ctx context.Context, o *options) error {
	switch os.Getenv(worldEnv) {
	case "first":
		return first()
	case "inside":
		return all(ctx, *o)
	}
	if os.Geteuid() != 0 {
		return errors.New("run as root: it makes network namespaces and mounts")
	}
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "theseus-chaos-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.dir = dir
	}
	runtime.LockOSThread() // the child dies with the thread that started it
	cmd := again(ctx, "first", "-dir", o.dir, "-seed", fmt.Sprint(o.seed))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL,
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	return cmd.Run()
}

// again is this program once more, with the flags in more after its own.
func again(ctx context.Context, as string, more ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append(os.Args[1:], more...)...)
	cmd.Env = append(os.Environ(), worldEnv+"="+as)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// first is process 1 of the world: it furnishes it, starts the one that does the
// work, and reaps what loses its parent.
func first() error {
	if err := furnish(); err != nil {
		return err
	}
	cmd := again(context.Background(), "inside")
	if err := cmd.Start(); err != nil {
		return err
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("wait for processes: %w", err)
		}
		if pid == cmd.Process.Pid {
			os.Exit(status.ExitStatus())
		}
	}
}

func furnish() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", "/run/netns", "tmpfs", 0, "size=64k"); err != nil {
		return fmt.Errorf("mount /run/netns: %w", err)
	}
	return ip("link", "set", "lo", "up")
}
