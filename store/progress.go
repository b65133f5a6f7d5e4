package store

import (
	"context"
	"fmt"
	"sync"
)

// progress is how far the store has come, for those who wait for it.
type progress struct {
	mu      sync.Mutex
	at      position
	stop    *StoppedError
	closed  bool
	moved   chan struct{} // closed and replaced whenever something above changes
	changed chan struct{} // the same for the records
	halted  chan struct{} // closed with the stop
}

func newProgress(at position) *progress {
	return &progress{at: at, moved: make(chan struct{}), changed: make(chan struct{}), halted: make(chan struct{})}
}

func (p *progress) position() position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// move notes a new position and whether records changed on the way.
func (p *progress) move(to position, records bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = to
	p.wake()
	if records {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// advance is move, but never back.
func (p *progress) advance(to position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to.index > p.at.index {
		p.at = to
		p.wake()
	}
}

func (p *progress) halt(stop *StoppedError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop == nil {
		close(p.halted)
	}
	p.stop = stop
	p.wake()
}

func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.wake()
}

// wake is called with mu held.
func (p *progress) wake() {
	close(p.moved)
	p.moved = make(chan struct{})
}

func (p *progress) fault() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop == nil {
		return nil
	}
	return p.stop
}

func (p *progress) change() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// look answers whether index is reached, or what to wait for, or why never.
func (p *progress) look(index uint64) (reached bool, next <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.at.index >= index:
		return true, nil, nil
	case p.stop != nil:
		return false, nil, p.stop
	case p.closed:
		return false, nil, ErrClosed
	}
	return false, p.moved, nil
}

func (p *progress) wait(ctx context.Context, index uint64) error {
	for {
		reached, next, err := p.look(index)
		if reached || err != nil {
			return err
		}
		select {
		case <-next:
		case <-ctx.Done():
			return fmt.Errorf("wait for index %d, now at %d: %w", index, p.position().index, ctx.Err())
		}
	}
}
