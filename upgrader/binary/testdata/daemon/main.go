// Command daemon is what the tests swap: a small server around package binary.
// One build is every version of it: the bytes behind the last "#" of its own
// file say how this one behaves.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/upgrader/binary"
)

func main() {
	if os.Args[1] != "panic-quietly" {
		binary.RaiseTraceback()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "daemon:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, what string, args []string) error {
	switch what {
	case "watch":
		return binary.Watch(ctx, args, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	case "heal":
		return binary.Heal(args, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	case "self-check":
		return selfCheck(variant())
	case "serve":
		return serve(ctx, args[0], args[1])
	case "image":
		return printImage()
	case "locate":
		return locate()
	case "prerequisites":
		return prerequisites(ctx, args[0])
	case "extract":
		return extract(ctx, args[0])
	case "panic", "panic-quietly":
		var nothing *time.Time
		fmt.Println(nothing.Unix())
	case "-n": // as sudo: -n setcap TEXT PATH, with the capability to do it
		cmd := exec.Command(args[0], args[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{AmbientCaps: []uintptr{unix.CAP_SETFCAP}}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return cmd.Run()
	}
	return errors.New("what?")
}

// variant is the text behind the last "#" of this executable.
func variant() string {
	raw, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	return string(raw[bytes.LastIndexByte(raw, '#')+1:])
}

func selfCheck(variant string) error {
	image, err := binary.RunningImage()
	if err != nil {
		return err
	}
	r := binary.Report{V: binary.ReportVersion, Version: variant, Image: image, Platform: "linux/test"}
	switch variant {
	case "chatty":
		fmt.Println("hello")
		return nil
	case "flood":
		os.Stdout.Write(bytes.Repeat([]byte("x"), 1<<20))
		return nil
	case "future":
		r.V = binary.ReportVersion + 1
	case "ancient":
		r = r.As(1)
	case "exit":
		return errors.New("this build cannot start")
	case "killed":
		die(syscall.SIGKILL)
	case "hang":
		select {}
	case "environment":
		r.Findings = os.Environ()
	case "mute":
		r.Version = ""
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func die(of syscall.Signal) {
	syscall.Kill(os.Getpid(), of)
	select {}
}

func printImage() error {
	image, err := binary.RunningImage()
	fmt.Println(image)
	return err
}

// locate tells where it runs from, once its input says go.
func locate() error {
	bufio.NewReader(os.Stdin).ReadString('\n')
	own, err := binary.Locate()
	if err != nil {
		return err
	}
	gone := ""
	if err := own.Present(); err != nil {
		gone = err.Error()
	}
	return json.NewEncoder(os.Stdout).Encode([]string{own.Path, own.Image, gone})
}

func prerequisites(ctx context.Context, dataDir string) error {
	own, err := binary.Locate()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(own.Prerequisites(ctx, dataDir, 0))
}

func extract(ctx context.Context, from string) error {
	own, err := binary.Locate()
	if err != nil {
		return err
	}
	image, err := binary.FileImage(from)
	if err != nil {
		return err
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = own.Extract(ctx, f, image)
	return err
}

// daemon answers one line for each line on its socket.
type daemon struct {
	own    *binary.Own
	data   string
	listen net.Listener
	lock   *os.File
	pulse  *binary.Pulse
	hangs  atomic.Bool // its main loop does
}

func serve(ctx context.Context, data, addr string) error {
	own, err := binary.Locate()
	if err != nil {
		return err
	}
	own.Supervised = os.Getenv("THESEUS_TEST_RESTART") == "exit"
	inherited, err := binary.Inherited()
	if err != nil {
		return err
	}
	switch variant() {
	case "exit":
		os.Exit(3)
	case "segv":
		die(syscall.SIGSEGV)
	case "silent":
		select {}
	}
	d := &daemon{own: own, data: data, lock: inherited.File("lock")}
	if d.pulse, err = binary.NewPulse(slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		return err
	}
	d.pulse.Runs(own.Image)
	d.pulse.Beat(binary.StageOpening, time.Hour)
	go d.pulse.Run(ctx)
	if variant() == "slow" {
		time.Sleep(slowStart)
	}
	if d.lock == nil && inherited.Attempt != "" {
		return errors.New("the lock was not handed over")
	}
	if d.lock == nil {
		d.lock, err = binary.LockDataDir(data)
	}
	var held *binary.HeldError
	if errors.As(err, &held) {
		return nil
	}
	if err != nil {
		return err
	}
	if d.listen, err = inherited.Listener("api"); err != nil {
		return err
	}
	if d.listen == nil {
		d.listen, err = net.Listen("tcp", addr)
	}
	if err != nil {
		return err
	}
	if err := own.Rewatch(); err != nil {
		return err
	}
	go d.accept()
	d.run(ctx)
	return own.Stopping()
}

// slowStart is more than a daemon that does not beat is given.
const slowStart = 13 * time.Second

// run is the main loop: it gives signs of life until ctx is over or it hangs.
func (d *daemon) run(ctx context.Context) {
	if variant() != "alone" {
		d.pulse.See(binary.Led)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !d.hangs.Load() {
		d.pulse.Beat(binary.StageServing, 0)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	<-ctx.Done()
}

func (d *daemon) accept() {
	for {
		c, err := d.listen.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "daemon:", err)
			os.Exit(1)
		}
		go d.answer(c)
	}
}

func (d *daemon) answer(c net.Conn) {
	defer c.Close()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	answer, err := d.do(word, strings.Fields(rest))
	if err != nil {
		answer = "error: " + err.Error()
	}
	fmt.Fprintln(c, answer)
}

func (d *daemon) do(word string, args []string) (string, error) {
	switch word {
	case "who":
		return fmt.Sprintf("%d %s %s", os.Getpid(), d.own.Image, effective()), nil
	case "arm":
		return "armed", d.arm(args)
	case "hang":
		d.hangs.Store(true)
		return "hangs", nil
	case "swap":
		if err := errors.Join(d.pulse.Leaving(5*time.Second), d.own.Swap()); err != nil {
			return "", err
		}
		return "", d.become()
	case "swap-or-die":
		if err := d.own.Swap(); err != nil {
			return "", err
		}
		err := d.exec()
		fmt.Fprintln(os.Stderr, "daemon:", err)
		os.Exit(1)
	case "yield":
		if err := errors.Join(d.own.Swap(), d.own.Yielding()); err != nil {
			return "", err
		}
		os.Exit(0)
	case "close":
		return "closed", d.own.Close()
	case "issues":
		raw, err := json.Marshal(d.own.Issues())
		return string(raw), err
	case "prerequisites":
		raw, err := json.Marshal(d.own.Prerequisites(context.Background(), d.data, 0))
		return string(raw), err
	}
	return "", errors.New("what?")
}

// arm has the number of the attempt, the image, and a deadline or none.
func (d *daemon) arm(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	deadline := time.Minute
	if len(args) > 2 {
		if deadline, err = time.ParseDuration(args[2]); err != nil {
			return err
		}
	}
	start, err := binary.CurrentStart()
	if err != nil {
		return err
	}
	return d.own.Arm(binary.Plan{Upgrade: "u1", Member: "m1", Attempt: n, DataDir: d.data,
		Image: args[1], Deadline: deadline, Start: start})
}

func (d *daemon) exec() error {
	return binary.Exec(d.own.Path, binary.Handover{Attempt: "1", Leader: "m2", Files: map[string]syscall.Conn{
		"api": d.listen.(syscall.Conn), "lock": d.lock}})
}

// become is the new image, or the old one again.
func (d *daemon) become() error {
	err := d.exec()
	return errors.Join(err, d.own.PutBack(err.Error()), d.exec())
}

// effective is CapEff of this process.
func effective() string {
	raw, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(raw), "CapEff:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}
