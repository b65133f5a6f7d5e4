package upgrader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// What members ask each other, over the member-to-member port.
const (
	pathWell  = "/upgrade/well"
	pathReady = "/upgrade/ready"
)

// verifyLimit is how long a member's write and read through itself may take.
const verifyLimit = 10 * time.Second

// well is a member's answer to whether it is well.
type well struct {
	Boot    string `json:"boot"`
	Image   string `json:"image"`
	Applied uint64 `json:"applied"`
}

// answerWell lets the loop answer: that others of this process live is not enough.
func (u *Upgrader) answerWell(ctx context.Context, _ json.RawMessage) (any, error) {
	if err := u.Store.Fault(); err != nil {
		return nil, model.Problemf(model.Unavailable, "%v", err)
	}
	if u.Stalled() {
		return nil, model.Problemf(model.Unavailable, "the main loop of %s stands still: restart it", u.Self.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, wellLimit)
	defer cancel()
	if err := u.passed(ctx); err != nil {
		return nil, err
	}
	if err := u.posted(ctx); err != nil {
		return nil, err
	}
	return well{Boot: u.Self.Boot, Image: u.Self.Image, Applied: u.Store.Applied()}, nil
}

// ping asks a member on probation whether it is well: the process that reported,
// caught up with what this leader has applied.
func (u *Upgrader) ping(ctx context.Context, member string) error {
	if member == u.Self.ID { // who asks goes on, and could not answer itself
		u.pong = &Pong{Member: member, Boot: u.Self.Boot}
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	target := u.Store.Applied()
	for {
		var w well
		if err := u.Cluster.Call(ctx, member, pathWell, struct{}{}, &w); err != nil {
			return fmt.Errorf("ask %s whether it is well: %w", member, err)
		}
		if w.Applied >= target {
			u.pong = &Pong{Member: member, Boot: w.Boot}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s has applied %d, not %d yet", member, w.Applied, target)
		case <-time.After(breath / 20):
		}
	}
}

// survey asks every member whether it is well, all at once. It does not wait for
// the one that is to go next: if it is down, it may as well have its turn. While two
// versions are at work it also compares what they have made of the same commands.
func (u *Upgrader) survey(ctx context.Context, p picture, next string) error {
	answered := map[string]bool{}
	var mu sync.Mutex // held for answered
	answer := func(id string) []string {
		mu.Lock()
		defer mu.Unlock()
		answered[id] = true
		return nil
	}
	silent := u.everyone(ctx, p, func(ctx context.Context, m model.Member) []string {
		if m.ID == u.Self.ID {
			return answer(m.ID) // who asks goes on
		}
		if m.ID == next {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, nextLimit)
			defer cancel()
		}
		if err := u.Cluster.Call(ctx, m.ID, pathWell, struct{}{}, &well{}); err != nil {
			row := p.upgrade.Member(m.ID)
			if row != nil && !included(*row) || m.ID == next && p.upgrade.Phase != model.Failed {
				return nil
			}
			return []string{unreachable(m, err)}
		}
		return answer(m.ID)
	})
	u.answered, u.apart = answered, nil
	if len(silent) > 0 && p.upgrade.Phase == model.Failed {
		return rest(ctx) // there is no hurry after the end
	}
	if len(silent) > 0 {
		return errors.New("wait for every member before the next one goes: " + strings.Join(silent, "; "))
	}
	var err error
	if u.apart, err = u.agreed(ctx, p.only(answered)); err != nil {
		u.answered = nil
		return fmt.Errorf("compare the members' records before the next one goes: %w", err)
	}
	return u.enough(p)
}

// rest lets a loop that has nothing to hurry for look again later.
func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(idle):
		return nil
	}
}

// only is p with the members that answered; this one always does.
func (p picture) only(answered map[string]bool) picture {
	p.members = maps.Clone(p.members)
	maps.DeleteFunc(p.members, func(id string, _ model.Member) bool { return !answered[id] })
	return p
}

// agreed compares the records of members of different versions. When they go
// back, that is the cure and not the time to ask.
func (u *Upgrader) agreed(ctx context.Context, p picture) (apart []string, err error) {
	if p.cluster.Level == 0 || !mixed(p) || slices.Contains(backwards(), p.upgrade.Phase) {
		return nil, nil
	}
	return u.compare(ctx, p)
}

// mixed says whether members run different images.
func mixed(p picture) bool {
	images := map[string]bool{}
	for _, m := range p.members {
		images[m.Image] = true
	}
	return len(images) > 1
}

// enough fails, with the numbers, when too few voters would be left to write
// while the next one restarts.
func (u *Upgrader) enough(p picture) error {
	if short := look(p.upgrade, u.seen(p)).short(); short != "" {
		return errors.New(short + ": start it, or remove it, or stop here and start again with --ignore quorum")
	}
	return nil
}

// verify is a write and a consistent read through this member.
func (u *Upgrader) verify(ctx context.Context, up *model.Upgrade) error {
	ctx, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	if err := u.propose(ctx, store.OpProbe, store.Probe{Member: u.Self.ID}); err != nil {
		return err
	}
	if err := u.Cluster.ReadIndex(ctx); err != nil {
		return fmt.Errorf("read consistently: %w", err)
	}
	return u.propose(ctx, store.OpUpgradeVerified, store.UpgradeMember{
		ID: up.ID, Member: u.Self.ID, Note: u.Self.Name + ": verified, wrote and read on " + u.Self.Version})
}

// readyQuestion asks a member whether its prerequisites hold for an archive.
type readyQuestion struct {
	Image string `json:"image"` // of its platform
}

func (u *Upgrader) answerReady(ctx context.Context, in json.RawMessage) (any, error) {
	var q readyQuestion
	if err := json.Unmarshal(in, &q); err != nil {
		return nil, model.Problemf(model.Malformed, "read the question: %v", err)
	}
	found := []string{}
	if q.Image == u.Self.Image {
		return found, nil // it was brought there by hand: nothing of it will change
	}
	for _, w := range words(u.Own.Prerequisites(ctx, u.DataDir, 0)) {
		found = append(found, u.Self.Name+": "+w)
	}
	return found, nil
}

func unreachable(m model.Member, err error) string {
	return fmt.Sprintf("%s: does not answer on %s: %v: start it; or leave it out with --exclude %s, then it follows when it is back; or remove it with `theseus system ha remove %s`",
		m.Name, m.Raft, err, m.Name, m.Name)
}

const (
	// askLimit is how long one member may take to answer a question.
	askLimit = 5 * time.Second
	// wellLimit is how long a member's loop may take to say that it goes on.
	wellLimit = 4 * time.Second
	// nextLimit is how long the one that is to go next is listened for.
	nextLimit = time.Second
)

// everyone asks all members at once and gathers their reasons, sorted.
func (u *Upgrader) everyone(ctx context.Context, p picture, ask func(context.Context, model.Member) []string) []string {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var reasons []string
	for _, m := range p.members {
		wg.Go(func() {
			found := ask(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			reasons = append(reasons, found...)
		})
	}
	wg.Wait()
	slices.Sort(reasons)
	return reasons
}
