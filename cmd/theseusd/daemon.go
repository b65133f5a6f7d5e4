package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/theseusd/theseus/api"
	"github.com/theseusd/theseus/cluster"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader"
	"github.com/theseusd/theseus/upgrader/binary"
	"github.com/theseusd/theseus/upgrader/jobs"
)

// What one image passes on to the next, by name; see docs/protocol.md.
const (
	inheritAPI  = "api"
	inheritRaft = "raft"
	inheritLock = "lock"
	inheritLeft = "left-" // and a number: a connection that nothing was read from
)

// daemon is everything that one serving process holds, from the bottom floor up.
type daemon struct {
	config
	inherited *binary.Inheritance
	manager   *serviceManager
	pulse     *binary.Pulse
	log       *slog.Logger

	lockFile     *os.File
	apiListener  net.Listener
	raftListener net.Listener
	left         []net.Conn // by the server, for the next image
	keys         *cluster.Keys
	api          *api.API
	server       *api.Server
	served       chan error // how serving ended

	own      *binary.Own
	self     model.Member
	store    *store.Store
	node     *cluster.Node
	upgrader *upgrader.Upgrader
	jobs     *jobs.Runner
}

// lock takes the data directory, or takes it over from the image before.
func (d *daemon) lock() (err error) {
	if d.lockFile = d.inherited.File(inheritLock); d.lockFile != nil {
		return nil
	}
	if err := os.MkdirAll(d.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	d.lockFile, err = binary.LockDataDir(d.DataDir)
	return err
}

// open opens everything. The API listens and holds requests before the store is
// open: after a swap somebody is waiting already.
func (d *daemon) open(ctx context.Context) error {
	if !d.inherited.Again {
		if err := d.firstStart(); err != nil {
			return err
		}
		if err := cluster.SetAside(d.DataDir, cluster.Join{URL: d.Join, Token: d.JoinToken}, d.log); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context) error{
		d.openListeners, d.openAPI, d.openDisk, d.entitle, d.openCluster, d.openUpgrader, d.openJobs,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.api.SetReady(api.Deps{Store: d.store, Cluster: d.node, Upgrader: d.upgrader, Jobs: d.jobs, Self: d.self})
	if err := d.own.Rewatch(); err != nil {
		d.log.Error("nothing watches this attempt at a new binary", "error", err) // it serves all the same
	}
	return d.inherited.Close()
}

// firstStart is what a process does that was no other image before: it has its
// executable marked as this member's, and a watcher for an attempt that is open,
// before anything can go wrong. After a re-execution both are there.
func (d *daemon) firstStart() error {
	if err := d.openBinary(); err != nil {
		return err
	}
	if err := d.own.Claim(d.DataDir); err != nil {
		d.log.Warn("this member can run, and not be upgraded", "error", err)
	}
	if err := d.own.Expelled(); err != nil {
		return err
	}
	return d.own.Rewatch()
}

// openDisk opens the store, after a re-execution while it hashes the executable.
func (d *daemon) openDisk(context.Context) error {
	var g errgroup.Group
	if d.own == nil {
		g.Go(d.openBinary)
	}
	g.Go(func() (err error) {
		d.store, err = store.Open(d.DataDir, store.Options{Log: d.log})
		return err
	})
	return g.Wait()
}

func (d *daemon) openBinary() (err error) {
	if d.own, err = binary.Locate(); err != nil {
		return err
	}
	d.pulse.Runs(d.own.Image)
	d.own.Supervised = d.Supervised || d.Restart == restartExit
	if d.CLIPath != "" {
		d.own.CLI = binary.NewCLI(d.CLIPath)
	}
	return nil
}

func (d *daemon) openListeners(context.Context) (err error) {
	if d.apiListener, err = d.listener(inheritAPI, d.Listen); err != nil {
		return err
	}
	d.raftListener, err = d.listener(inheritRaft, d.RaftListen)
	return err
}

func (d *daemon) listener(name, address string) (net.Listener, error) {
	l, err := d.inherited.Listener(name)
	if l != nil || err != nil {
		return l, err
	}
	if l, err = net.Listen("tcp", address); err != nil {
		return nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	return l, nil
}

func (d *daemon) openAPI(context.Context) (err error) {
	if d.keys, err = cluster.OpenKeys(d.DataDir); err != nil {
		return err
	}
	d.api = api.New(d.log)
	left, err := d.inherited.Conns(inheritLeft)
	if err != nil {
		d.log.Warn("take over the connections that nothing was read from", "error", err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: d.keys.ServerCertificate}
	if d.server, err = api.NewServer(d.apiListener, left, conf, d.api, d.log); err != nil {
		return err
	}
	d.served = make(chan error, 1)
	go func() { d.served <- d.server.Serve() }()
	return nil
}

func (d *daemon) openCluster(ctx context.Context) error {
	id, err := cluster.LoadIdentity(d.DataDir)
	if err != nil {
		return err
	}
	d.self = model.Member{
		ID: id.ID, Incarnation: id.Incarnation, Name: d.Name, Version: version, Image: d.own.Image,
		Platform: platform(), Boot: bootID(), PID: os.Getpid(), Observer: d.Observer,
		API:  "https://" + d.advertised(d.apiListener),
		Raft: d.advertised(d.raftListener),
	}
	c := cluster.Config{
		Store: d.store, Keys: d.keys, Dir: d.DataDir, Self: d.self, Hosts: d.hosts(),
		Listener: d.raftListener, LeaderHint: d.inherited.Leader, MayJoin: mayJoin, Log: d.log,
	}
	if err := d.beginning(&c); err != nil {
		return err
	}
	d.node, err = cluster.Open(ctx, c)
	return err
}

// beginning says how a data directory without state becomes a member: by
// joining, or as a cluster of one.
func (d *daemon) beginning(c *cluster.Config) error {
	fresh, err := cluster.Fresh(d.store)
	if err != nil {
		return err
	}
	if d.Join != "" {
		c.Join = &cluster.Join{URL: d.Join, Token: d.JoinToken}
		return nil
	}
	if !fresh {
		return nil
	}
	if d.Observer {
		return errors.New("--observer: an observer cannot begin a cluster; say with --join and a join token which one it is to observe")
	}
	admin, err := d.firstAdmin()
	if err != nil {
		return err
	}
	c.Init = &store.ClusterInit{Cluster: model.Cluster{ID: cluster.NewUUID(), Version: version, Level: store.Level}, Admin: admin}
	return nil
}

// advertised is where others reach a listener of this member.
func (d *daemon) advertised(l net.Listener) string {
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return l.Addr().String()
	}
	return net.JoinHostPort(d.Advertise, port)
}

// hosts are the names in this member's certificates.
func (d *daemon) hosts() []string {
	hosts := []string{d.Advertise, "localhost", "127.0.0.1", d.Name}
	if host, _, err := net.SplitHostPort(d.Listen); err == nil && host != "" {
		hosts = append(hosts, host)
	}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	return hosts
}

func bootID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails, says crypto/rand
	return hex.EncodeToString(b[:])
}

func (d *daemon) openUpgrader(context.Context) error {
	trust, err := staging.LoadTrust(d.TrustedKeys, d.AllowUnsigned)
	if err != nil {
		return err
	}
	start, err := binary.CurrentStart()
	if err != nil {
		return err
	}
	d.upgrader = upgrader.New(upgrader.Config{
		Store: d.store, Cluster: d.node, Process: d, Own: d.own, Trust: trust, Limits: staging.DefaultLimits(),
		Self: d.self, Launch: start, DataDir: d.DataDir, CACert: d.keys.CAFile(), Pulse: mainLoop{d}, Shapes: d.api.Shapes, Log: d.log,
		Hooks: upgrader.Hooks{Drain: d.DrainHook, Post: d.PostHook},
	})
	return nil
}

func (d *daemon) openJobs(context.Context) error {
	if err := d.upgrader.RemoveMigrations(); err != nil {
		return err
	}
	d.jobs = jobs.New(jobs.Config{Store: d.store, Cluster: d.node, Self: d.self, Actions: d.upgrader.Actions(),
		Migrate: d.upgrader.Migrate, Carried: d.upgrader.Carried, Log: d.log})
	return nil
}

// close closes what is open, in reverse. It may be called on a half opened daemon.
func (d *daemon) close() error {
	var errs []error
	if d.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), parkLimit)
		defer cancel()
		errs = append(errs, d.server.Shutdown(ctx))
	}
	if d.node != nil {
		errs = append(errs, d.node.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	for _, l := range []net.Listener{d.apiListener, d.raftListener} {
		if l != nil {
			l.Close() // closed already by whoever served on it, or never used
		}
	}
	return errors.Join(append(errs, d.lockFile.Close())...)
}

const (
	stopDrain    = 2 * time.Second
	stopTransfer = 5 * time.Second
)

// stop is a clean end: clients are asked to come back elsewhere, leadership is
// handed over, and a watcher is told that this is no death.
func (d *daemon) stop() error {
	d.manager.say("STOPPING=1", "STATUS=stopping")
	if err := d.own.Stopping(); err != nil {
		d.log.Warn("tell the watcher that this is a clean stop", "error", err)
	}
	d.server.LameDuck()
	ctx, cancel := context.WithTimeout(context.Background(), stopDrain)
	defer cancel()
	if err := d.server.Quiet(ctx); err != nil {
		d.log.Debug("drain", "error", err)
	}
	if leader, _ := d.node.Leader(); leader == d.self.ID && len(d.node.Voters()) > 1 {
		ctx, cancel := context.WithTimeout(context.Background(), stopTransfer)
		defer cancel()
		if err := d.node.HandOver(ctx, ""); err != nil {
			d.log.Warn("hand leadership over", "error", err)
		}
	}
	d.log.Info("stopped")
	return nil
}
