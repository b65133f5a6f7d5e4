package binary

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Contact is what a daemon sees of the cluster.
type Contact string

const (
	Led   Contact = "led"   // somebody leads it, or it leads itself
	Apart Contact = "apart" // the others have a leader, and it has none
	Alone Contact = "alone" // nobody in sight has a leader
)

// beat is a sign of life of the daemon's main loop. It lies beside the
// executable, synced, as long as an attempt is open, and is all that the watcher
// knows of a process that does not end.
type beat struct {
	V       int           `json:"v"`
	Upgrade string        `json:"upgrade"`
	Attempt int           `json:"attempt"`
	PID     int           `json:"pid"`
	Image   string        `json:"image"` // "" as long as the process has not found out
	Number  uint64        `json:"number"`
	Stage   string        `json:"stage"` // for people
	Contact Contact       `json:"contact"`
	Quiet   time.Duration `json:"quiet"` // how much longer than silenceLimit the next beat may take
}

const (
	silenceLimit = 5 * time.Second // then a daemon that has beaten hangs
	apartLimit   = 2 * time.Minute // then one cannot rejoin
	beatEvery    = time.Second

	stageLeaving = "leaving"

	shortestStart = 10 * time.Second
	startFactor   = 10 // times what its trial run took
)

// tried is what the last trial run told of an executable, for the next start.
type tried struct {
	V     int           `json:"v"`
	Image string        `json:"image"`
	Beats bool          `json:"beats"`
	Took  time.Duration `json:"took"`
}

// Tried keeps what a trial run told of the executable that may be next.
func (o *Own) Tried(r Report) error {
	return o.write("tried", tried{V: recordVersion, Image: r.Image, Beats: r.V >= 2, Took: r.Took})
}

// startOf is how long an image may take to its first beat; 0: it does not beat.
func (o *Own) startOf(image string) time.Duration {
	var t tried
	found, err := o.read("tried", &t)
	if err != nil || !found || t.Image != image || !t.Beats {
		return 0
	}
	return max(shortestStart, startFactor*t.Took)
}

// Pulse is the beating of this process.
type Pulse struct {
	own *Own
	log *slog.Logger

	mu      sync.Mutex // held for what follows
	stage   string
	contact Contact
	until   time.Time // the main loop is not silent before
	number  uint64
	image   string
}

// NewPulse is the pulse of the executable that this process runs. It says
// nothing before the first Beat.
func NewPulse(log *slog.Logger) (*Pulse, error) {
	path, err := ownPath()
	if err != nil {
		return nil, err
	}
	return &Pulse{own: &Own{Path: path}, log: log, contact: Alone}, nil
}

// Beat is the main loop's word that it goes on, and that it may be busy for so
// long before its next. Call it as often as you like.
func (p *Pulse) Beat(stage string, busy time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage, p.until = stage, time.Now().Add(busy+2*beatEvery)
}

// Runs notes which image this process runs.
func (p *Pulse) Runs(image string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.image = image
}

// See notes what this process sees of the cluster.
func (p *Pulse) See(c Contact) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.contact = c
}

// Run writes a beat every second while an attempt is open and the main loop is
// not silent, until ctx is over.
func (p *Pulse) Run(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		if err := p.write(); err != nil {
			p.log.Warn("write a sign of life", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *Pulse) write() error {
	a, open, err := p.own.Attempt()
	if err != nil || !open {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().After(p.until) {
		return nil // the main loop is silent
	}
	p.number++
	return p.own.write("beat", p.beat(a))
}

// beat is written with mu held.
func (p *Pulse) beat(a Attempt) beat {
	return beat{V: recordVersion, Upgrade: a.Upgrade, Attempt: a.Number, PID: os.Getpid(), Image: p.image, Number: p.number, Stage: p.stage, Contact: p.contact}
}

// Leaving is the last beat before a swap: from here on the watcher waits for
// those of the next image. Call it while serving still; quiet is how long the
// rest may take. It does nothing when no attempt is open.
func (p *Pulse) Leaving(quiet time.Duration) error {
	a, open, err := p.own.Attempt()
	if err != nil || !open {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Time{} // no beat of this image comes after
	p.number++
	b := p.beat(a)
	b.Stage, b.Quiet = stageLeaving, quiet
	return p.own.write("beat", b)
}
