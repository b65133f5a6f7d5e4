package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// serviceManager is what started this process and wants to hear from it, as
// systemd does of a unit with Type=notify. Without one nothing is said.
//
// The environment that names it outlives a re-execution, as the process does; no
// child gets it.
type serviceManager struct {
	socket   string        // as in NOTIFY_SOCKET; an abstract one begins with @
	every    time.Duration // between signs of life
	watchdog bool          // it ends a daemon without signs of life
	patience time.Duration // how long the main loop may be silent
	log      *slog.Logger

	serving atomic.Bool
	beats   atomic.Uint64 // of the main loop
}

const (
	aliveEvery = 10 * time.Second // unless a watchdog wants more
	// silenceLimit is more than the longest act of the main loop, a trial run of
	// the next binary, may take. Within an attempt the watcher is stricter.
	silenceLimit = 10 * time.Minute
)

func newServiceManager(env func(string) string, log *slog.Logger) *serviceManager {
	m := &serviceManager{socket: env("NOTIFY_SOCKET"), every: aliveEvery, patience: silenceLimit, log: log}
	if pid := env("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return m // its watchdog is meant for another process
	}
	if usec, err := strconv.ParseInt(env("WATCHDOG_USEC"), 10, 64); err == nil && usec > 1 {
		m.watchdog, m.every = true, time.Duration(usec)*time.Microsecond/2
	}
	return m
}

// say sends one datagram. A service manager that cannot be told is no reason to
// stop serving.
func (m *serviceManager) say(words ...string) {
	if m.socket == "" {
		return
	}
	if err := m.send(strings.Join(words, "\n")); err != nil {
		m.log.Warn("tell the service manager", "error", err)
	}
}

func (m *serviceManager) send(text string) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(text))
	return err
}

// Beat is a sign of life of the main loop.
func (m *serviceManager) Beat() { m.beats.Add(1) }

// keepAlive sends signs of life until ctx is over, as long as the main loop, or
// the start before it, is not silent for longer than patience. It counts in its
// own ticks: a machine that was suspended was not silent.
func (m *serviceManager) keepAlive(ctx context.Context) {
	if m.socket == "" {
		return
	}
	tick := time.NewTicker(m.every)
	defer tick.Stop()
	var heard uint64
	for silent := time.Duration(0); ; silent += m.every {
		if beats := m.beats.Load(); beats != heard {
			heard, silent = beats, 0
		}
		if silent <= m.patience {
			m.alive()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// alive is one sign of life. A start that goes on asks for more time.
func (m *serviceManager) alive() {
	if m.watchdog {
		m.say("WATCHDOG=1")
	}
	if !m.serving.Load() {
		m.say(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (3 * m.every).Microseconds()))
	}
}

// ready says that the member serves.
func (m *serviceManager) ready(status string) {
	m.serving.Store(true)
	m.say("READY=1", "STATUS="+status)
}
