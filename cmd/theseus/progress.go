package main

import (
	"fmt"
	"io"
	"sync"
)

// progress reads from and writes how far it is: on a terminal as one line that
// is drawn again, elsewhere as a line for every tenth.
type progress struct {
	from   io.Reader
	size   int64 // in bytes; -1: not known
	to     io.Writer
	redraw bool
	then   string // what comes when all is sent

	mu    sync.Mutex // the connection may read on after the answer has come
	sent  int64
	shown int64
	whole bool // all of it is out
	ended bool
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reached(p.sent + int64(n))
	if err == io.EOF {
		p.all()
	}
	return n, err
}

// at says that so many bytes are out; after a cut it goes on from less.
func (p *progress) at(sent int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reached(sent)
	if sent == p.size {
		p.all()
	}
}

// cut says that the connection broke.
func (p *progress) cut(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.whole = false
	p.draw(printable(fmt.Sprintf("going on with the upload: %v", err)))
	if p.redraw {
		fmt.Fprintln(p.to)
	}
}

// reached and all are called with mu held.
func (p *progress) reached(sent int64) {
	p.sent = sent
	if step := p.step(); !p.ended && step > p.shown {
		p.shown = step
		p.draw(p.line())
	}
}

func (p *progress) all() {
	if !p.ended && !p.whole {
		p.whole = true
		p.draw(fmt.Sprintf("sent %s; %s", mebibytes(p.sent), p.then))
	}
}

// step counts what is worth another line.
func (p *progress) step() int64 {
	parts := int64(10)
	if p.redraw {
		parts = 100
	}
	if p.size > 0 {
		return p.sent * parts / p.size
	}
	const unknown = 64 << 20
	return p.sent * parts / 10 / unknown
}

func (p *progress) line() string {
	if p.size > 0 {
		return fmt.Sprintf("sent %3d %% of %s", 100*p.sent/p.size, mebibytes(p.size))
	}
	return "sent " + mebibytes(p.sent)
}

func (p *progress) draw(line string) {
	if p.redraw {
		fmt.Fprint(p.to, "\r\x1b[K", line)
		return
	}
	fmt.Fprintln(p.to, line)
}

// end clears the drawn line; what is read later is not shown.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.redraw {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
