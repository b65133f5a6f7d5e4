package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// manager is a service manager's end of the socket, and what it puts into the
// environment of what it starts.
func manager(t *testing.T, name string, env map[string]string) (*net.UnixConn, *serviceManager) {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	get := func(key string) string {
		if key == "NOTIFY_SOCKET" {
			return name
		}
		return env[key]
	}
	return c, newServiceManager(get, slog.New(slog.DiscardHandler))
}

func hear(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 4096)
	n, err := c.Read(raw)
	if err != nil {
		t.Fatalf("the service manager hears nothing: %v", err)
	}
	return string(raw[:n])
}

func TestTheServiceManagerHearsThatTheMemberServes(t *testing.T) {
	for kind, name := range map[string]string{
		"file":     filepath.Join(t.TempDir(), "notify"),
		"abstract": "@theseus-notify-" + strconv.Itoa(os.Getpid()),
	} {
		t.Run(kind, func(t *testing.T) {
			c, m := manager(t, name, nil)
			m.ready("serving")
			if got := hear(t, c); got != "READY=1\nSTATUS=serving" {
				t.Errorf("it hears %q", got)
			}
		})
	}
}

// While it starts it asks for more time; signs of life end with the main loop's.
func TestSignsOfLifeEndWithTheMainLoop(t *testing.T) {
	c, m := manager(t, filepath.Join(t.TempDir(), "notify"), map[string]string{
		"WATCHDOG_USEC": "20000", "WATCHDOG_PID": strconv.Itoa(os.Getpid())})
	m.patience = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { m.keepAlive(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	if got := hear(t, c); got != "WATCHDOG=1" {
		t.Fatalf("it hears %q", got)
	}
	if got := hear(t, c); got != "EXTEND_TIMEOUT_USEC=30000" {
		t.Fatalf("it hears %q", got)
	}
	m.ready("serving")
	for pings := 0; pings < 20; { // many times patience, while the loop goes round
		m.Beat()
		if hear(t, c) == "WATCHDOG=1" {
			pings++
		}
	}
	for left := 20; ; left-- { // and soon none without it
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 64)); err != nil {
			return
		}
		if left == 0 {
			t.Fatal("it pings still")
		}
	}
}

func TestAWatchdogForAnotherProcessIsNotFed(t *testing.T) {
	_, m := manager(t, filepath.Join(t.TempDir(), "notify"), map[string]string{"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"})
	if m.watchdog {
		t.Error("it feeds a watchdog that is not its own")
	}
}

func TestWithoutAServiceManagerNothingIsSaid(t *testing.T) {
	m := newServiceManager(func(string) string { return "" }, slog.New(slog.DiscardHandler))
	m.ready("serving")
	m.keepAlive(t.Context()) // returns at once
}
