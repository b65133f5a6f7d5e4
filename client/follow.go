package client

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/theseusd/theseus/model"
)

// ErrCleared is returned by a Follower when the upgrade it saw is gone.
var ErrCleared = errors.New("the upgrade was unstaged while it was followed: nothing of it is left")

// Follower follows an upgrade to its end, through restarts of every member: when
// the member it asks is silent it asks the others that the upgrade names.
type Follower struct {
	Client  *Client
	Every   time.Duration   // between two looks
	Silence time.Duration   // give up when nobody has answered for so long
	See     func(Upgrade)   // called with every state that is newer than the last
	Lost    func(err error) // called for every look that nobody answered

	// Until, if it is there, says of a state that is not the end that it is one
	// for this caller.
	Until func(Upgrade) bool
}

// follow is what a Follower remembers between two looks.
type follow struct {
	Follower
	ask  []*Client // the member asked is the first
	last Upgrade
	seen bool
}

// Run returns the last state when the upgrade has finished or failed, or an
// error: ErrCleared, a refusal, or the last cause of the silence. The end is
// believed only from a consistent read: a member that was just restarted may
// still show the one of an earlier run.
func (f Follower) Run(ctx context.Context) (Upgrade, error) {
	patient := *f.Client
	patient.patience = 0 // the looks themselves are the tries
	w := &follow{Follower: f, ask: append([]*Client{&patient}, impatient(f.Client.others)...)}
	heard := time.Now()
	for {
		over, err := w.look(ctx)
		switch {
		case over:
			return w.last, err
		case err == nil:
			heard = time.Now()
		case time.Since(heard) > f.Silence:
			return w.last, err
		}
		if !rest(ctx, f.Every) {
			return w.last, ctx.Err()
		}
	}
}

// impatient are the same clients, which ask once.
func impatient(all []*Client) (once []*Client) {
	for _, c := range all {
		one := *c
		one.patience = 0
		once = append(once, &one)
	}
	return once
}

// look reads the state once. over: that was all, with err if it ended badly;
// an err without over is a silence that may pass.
func (w *follow) look(ctx context.Context) (over bool, err error) {
	u, err := w.ask[0].Upgrade(ctx, false)
	if err == nil && u.Over() || missing(err) {
		u, err = w.ask[0].Upgrade(ctx, true)
	}
	switch {
	case err == nil:
		return w.take(u), nil
	case ctx.Err() != nil:
		return true, ctx.Err()
	case missing(err) && w.seen:
		return true, ErrCleared
	case !w.passing(err):
		return true, err
	}
	w.Lost(err)
	w.ask = append(w.ask[1:], w.ask[0])
	return false, err
}

// take keeps u unless it is older than what was seen, which a member that lags may show.
func (w *follow) take(u Upgrade) (over bool) {
	if u.Index < w.last.Index {
		return false
	}
	if !w.seen {
		w.meet(u.Nodes)
	}
	w.last, w.seen = u, true
	w.See(u)
	return u.Over() || w.Until != nil && w.Until(u)
}

// meet adds the other members as ones to ask. Their certificates are verified
// as the first one's is.
func (w *follow) meet(nodes []Node) {
	for _, n := range nodes {
		if other, err := w.ask[0].at(n.API); err == nil && other.Endpoint() != w.ask[0].Endpoint() {
			w.ask = append(w.ask, other)
		}
	}
}

func missing(err error) bool {
	var e *model.Error
	return errors.As(err, &e) && e.Code == http.StatusNotFound
}

// passing says that err may go away by itself: silence, or a server that is
// starting or without a leader. A certificate that can't be verified is final
// only before the first answer: after that it is one of the other members'.
func (w *follow) passing(err error) bool {
	var e *model.Error
	if errors.As(err, &e) {
		return e.Code >= 500
	}
	var u *Unreachable
	return errors.As(err, &u) && (w.seen || again(err))
}
