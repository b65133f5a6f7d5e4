package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/theseusd/theseus/internal/crash"
	"github.com/theseusd/theseus/upgrader/binary"
)

// parkLimit is how long requests in flight may take once accepting is parked. New
// connections wait as long: it is for one that came just then and is slow.
const parkLimit = 2 * time.Second

// leftLimit is how many connections are passed on at most: their list is a variable
// of the environment.
const leftLimit = 1000

// LameDuck keeps serving but asks clients to come back on new connections.
func (d *daemon) LameDuck() { d.server.LameDuck() }

// Recover undoes LameDuck.
func (d *daemon) Recover() { d.server.Recover() }

// Quiet returns when nothing is in flight that would be lost.
func (d *daemon) Quiet(ctx context.Context) error { return d.server.Quiet(ctx) }

// Reexec is the last act of this image, in the order in which a kill does no
// harm: stop accepting (the kernel keeps queueing for the next image), end what
// is in flight, stop raft, close the store, swap, become the image at the path.
// There is no way back into this life from parking on: whatever goes wrong then,
// the image that is at the path is executed, and the record goes on from there.
func (d *daemon) Reexec(_ context.Context, swap func() error) error {
	leader, _ := d.node.Leader()
	d.manager.say("STATUS=becoming the next binary")
	err := crash.Point("park", d.park)
	if err == nil {
		err = swap()
	}
	if err != nil {
		d.log.Error("swap; going on with the image as it was", "error", err)
		return d.lastResort(d.exec(leader))
	}
	err = crash.Point("exec", func() error { return d.exec(leader) })
	d.log.Error("the new binary cannot be executed; putting the kept one back", "error", err)
	if err := d.own.PutBack(fmt.Sprintf("the new binary cannot be executed: %v", err)); err != nil {
		d.log.Error("put the kept binary back", "error", err)
	}
	return d.lastResort(d.exec(leader))
}

// park ends everything that this image holds but its listening sockets, the
// connections on which nobody has said anything yet, and the lock on the data
// directory.
func (d *daemon) park() error {
	d.server.Park()
	ctx, cancel := context.WithTimeout(context.Background(), parkLimit)
	defer cancel()
	if err := d.leave(ctx); err != nil {
		d.log.Warn("requests in flight were cut", "error", err)
	}
	if err := d.node.Park(); err != nil {
		return fmt.Errorf("park the members' port: %w", err)
	}
	if err := d.node.Close(); err != nil {
		return fmt.Errorf("stop raft: %w", err)
	}
	return d.store.Close()
}

// leave ends serving; with --restart exit there is nobody to leave connections to.
func (d *daemon) leave(ctx context.Context) (err error) {
	if d.Restart == restartExit {
		return d.server.Shutdown(ctx)
	}
	d.left, err = d.server.Leave(ctx)
	return err
}

// exec makes this process the image at the path of the binary; with --restart
// exit it ends instead, for its supervisor to start that image.
func (d *daemon) exec(leader string) error {
	if d.Restart == restartExit {
		d.yield()
	}
	files := map[string]syscall.Conn{
		inheritAPI:  d.apiListener.(syscall.Conn),
		inheritRaft: d.raftListener.(syscall.Conn),
		inheritLock: d.lockFile,
	}
	for i, c := range d.left[:min(len(d.left), leftLimit)] {
		files[inheritLeft+strconv.Itoa(i)] = c.(syscall.Conn)
	}
	return binary.Exec(d.own.Path, binary.Handover{Files: files, Leader: leader})
}

// yield ends this process and does not come back.
func (d *daemon) yield() {
	if err := d.own.Yielding(); err != nil {
		d.log.Warn("tell the watcher that this is no death", "error", err)
	}
	d.log.Info("ending, to be started again by the supervisor", "binary", d.own.Path)
	os.Exit(0)
}

// lastResort ends a process that can be nothing any more: its watcher or its
// supervisor goes on.
func (d *daemon) lastResort(err error) error {
	d.log.Error("execute the binary at its path", "error", err)
	os.Exit(1)
	return err
}
