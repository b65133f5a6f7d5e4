package binary

import "golang.org/x/sys/unix"

// ends says how the daemons of one attempt ended, so that each end is judged
// once: by the watcher, which sees it, or by Heal at the next supervised start,
// whoever comes first. It lies beside the executable, written by old code only.
type ends struct {
	V       int    `json:"v"`
	Upgrade string `json:"upgrade"`
	Attempt int    `json:"attempt"`
	Kernel  string `json:"kernel"` // boot id when the last daemon was started
	Starts  int    `json:"starts"` // by the supervisor, each announced to Heal
	Judged  int    `json:"judged"` // ends; daemon n, from 0, is judged when this is more than n
	Deaths  int    `json:"deaths"` // the unclean ones among them
}

// unnumbered is a daemon that was dead before anyone knew which one it was: Heal,
// where it is called, judges it.
const unnumbered = -1

// endsOf are the ends within a so far; asked is false when no supervisor calls Heal.
func (o *Own) endsOf(a Attempt) (e ends, asked bool, err error) {
	found, err := o.read("ends", &e)
	if err != nil {
		return e, false, err
	}
	if !found || e.Upgrade != a.Upgrade || e.Attempt != a.Number {
		return ends{V: recordVersion, Upgrade: a.Upgrade, Attempt: a.Number, Kernel: a.Kernel}, false, nil
	}
	return e, e.Starts > 0, nil
}

// number is which daemon of the attempt this process is. It is the last one that
// was announced, if it lives: the next is not announced before it is dead.
func (w *watcher) number(p *process) int {
	e, _, err := w.own.endsOf(w.attempt)
	if err != nil || p.dead() {
		return unnumbered
	}
	return e.Starts
}

// dead looks whether p has ended, and does not wait.
func (p *process) dead() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd.Fd()), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// judge counts the death of daemon number within a. Nothing is counted if Heal was
// called since, or will be: judged is false.
func (o *Own) judge(a Attempt, number int, how string) (v Verdict, judged bool, err error) {
	err = o.locked(func() error {
		e, asked, err := o.endsOf(a)
		if err != nil {
			return err
		}
		if asked && e.Judged > number {
			v, err = o.verdictOn(a)
			return err
		}
		judged = true
		e.Judged = max(e.Judged, number+1)
		v, err = o.bury(a, e, how)
		return err
	})
	return v, judged, err
}

// bury writes one more death down: first in e, so that a kill in between makes
// nobody count it again.
func (o *Own) bury(a Attempt, e ends, how string) (Verdict, error) {
	v, err := o.verdictOn(a)
	if err != nil {
		return v, err
	}
	e.Deaths = v.Deaths + 1
	if err := o.write("ends", e); err != nil {
		return v, err
	}
	v.Deaths = e.Deaths
	if !v.PutBack { // else its reason stands: this one was started before
		v.Reason = how
	}
	return v, o.write("verdict", v)
}
