package binary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// The stages of a daemon that the watcher tells apart.
const (
	StageOpening = "opening" // has a limit as a whole
	StageServing = "serving"
	stageLeaving = "leaving" // for the next image to come
)

// beat is a sign of life of the daemon's main loop. It lies beside the
// executable, synced, as long as an attempt is open, and is all that the watcher
// knows of a process that does not end.
//
// New code writes it and old code reads it: what is here keeps its meaning, and
// what a later version adds is not read.
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

// lastBeat is what lies beside the executable, and when the daemon last touched
// it: only whether that changes has a meaning.
func (o *Own) lastBeat() (b beat, at time.Time, err error) {
	info, err := os.Stat(o.beside("beat"))
	if errors.Is(err, os.ErrNotExist) {
		return b, at, nil
	}
	if err != nil {
		return b, at, fmt.Errorf("look for a sign of life: %w", err)
	}
	raw, err := os.ReadFile(o.beside("beat"))
	if err == nil {
		err = json.Unmarshal(raw, &b)
	}
	if err != nil {
		return b, at, fmt.Errorf("read a sign of life: %w", err)
	}
	return b, info.ModTime(), nil
}

const (
	silenceLimit = 5 * time.Second // then a daemon that has beaten hangs
	startQuiet   = 5 * time.Second // more, before the first beat of a process
	apartLimit   = 2 * time.Minute // then one cannot rejoin
	beatEvery    = time.Second

	shortestStart = 30 * time.Second
	startFactor   = 10 // times what its trial run took
)

// tried is what the last trial run told of an executable, for the next start.
type tried struct {
	V     int           `json:"v"`
	Image string        `json:"image"`
	Beats bool          `json:"beats"`
	Took  time.Duration `json:"took"`
}

// Tried keeps what a trial run told of the executable that may be next. Of
// several runs of one executable the longest counts.
func (o *Own) Tried(r Report) error {
	t := tried{V: recordVersion, Image: r.Image, Beats: r.Beats(), Took: r.Took}
	var before tried
	if found, err := o.read("tried", &before); err == nil && found && before.Image == t.Image {
		t.Took = max(t.Took, before.Took)
	}
	return o.write("tried", t)
}

// startOf is how long an image may be opening; 0: it is not known to beat at all.
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

	disk    sync.Mutex // held while a beat is written, which may take long; before mu
	trouble string     // what went wrong last, so that it is logged once

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
// not silent, until ctx is over. A disk that is slow or full is no silence.
func (p *Pulse) Run(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	writing := make(chan struct{}, 1)
	for {
		select {
		case writing <- struct{}{}:
			go func() {
				p.write()
				<-writing
			}()
		default:
			p.touch()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *Pulse) write() {
	p.disk.Lock()
	defer p.disk.Unlock()
	a, open, err := p.own.Attempt()
	if err == nil && open {
		if b, alive := p.next(a); alive {
			err = p.own.write("beat", b)
		}
	}
	if err == nil {
		p.trouble = ""
		return
	}
	p.touch()
	if err.Error() != p.trouble {
		p.log.Warn("write a sign of life", "error", err)
	}
	p.trouble = err.Error()
}

// next is the next beat; alive is false while the main loop is silent.
func (p *Pulse) next(a Attempt) (b beat, alive bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.beat(a), time.Now().Before(p.until)
}

// touch is a sign of life that takes no room on the disk and waits for no sync.
func (p *Pulse) touch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Before(p.until) {
		os.Chtimes(p.own.beside("beat"), now, now) // if it is not there, nobody has heard of this process yet
	}
}

// beat is made with mu held.
func (p *Pulse) beat(a Attempt) beat {
	p.number++
	return beat{V: recordVersion, Upgrade: a.Upgrade, Attempt: a.Number, PID: os.Getpid(), Image: p.image,
		Number: p.number, Stage: p.stage, Contact: p.contact}
}

// Leaving is the last beat before a swap: from here on the watcher waits for
// those of the next image. Call it while serving still; quiet is how long the
// rest may take. It does nothing when no attempt is open.
func (p *Pulse) Leaving(quiet time.Duration) error {
	p.disk.Lock()
	defer p.disk.Unlock()
	a, open, err := p.own.Attempt()
	if err != nil || !open {
		return err
	}
	return p.own.write("beat", p.last(a, quiet))
}

func (p *Pulse) last(a Attempt, quiet time.Duration) beat {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Time{} // no beat of this image comes after
	b := p.beat(a)
	b.Stage, b.Quiet = stageLeaving, quiet
	return b
}
