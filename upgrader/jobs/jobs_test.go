package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// ledger is a log of one store, which every member of the test reads and writes.
// Who leads is said by the test.
type ledger struct {
	t     *testing.T
	store *store.Store

	mu      sync.Mutex // held for what follows
	index   uint64
	leader  string
	changed chan struct{}
	meet    func(c store.Command) // called before a member's command is applied; nil: nothing is
}

func newLedger(t *testing.T) *ledger {
	s, err := store.Open(t.TempDir(), store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{t: t, store: s, changed: make(chan struct{})}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	l.must(store.New(store.OpClusterInit, store.ClusterInit{Cluster: model.Cluster{ID: "c", Version: "1.0.0", Level: store.Level}, Admin: model.User{Name: "admin"}}))
	return l
}

func (l *ledger) must(c store.Command) {
	l.t.Helper()
	a, err := l.propose(c)
	if err == nil {
		err = a.Err()
	}
	if err != nil {
		l.t.Fatalf("%s: %v", c.Op, err)
	}
}

func (l *ledger) propose(c store.Command) (store.Answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index++
	return l.store.Apply([]store.Entry{{Index: l.index, Term: 1, Data: c.Encode()}})[0], nil
}

func (l *ledger) lead(member string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leader = member
	close(l.changed)
	l.changed = make(chan struct{})
}

// member is one member's place in the cluster.
type member struct {
	*ledger
	name string
}

func (m member) Propose(_ context.Context, c store.Command) (store.Answer, error) {
	if m.meet != nil {
		m.meet(c)
	}
	return m.propose(c)
}

func (m member) ReadIndex(context.Context) error { return nil }

func (m member) Leading() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leader == m.name
}

func (m member) Leadership() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// runner runs member name's part until the test ends.
func (l *ledger) runner(name string, actions map[string]Action) *Runner {
	return l.runnerOf(Config{Actions: actions, Carried: nothing}, name)
}

// nothing is brought by any package.
func nothing(string) (c store.JobMigrate, known bool, err error) { return c, false, nil }

func (l *ledger) runnerOf(c Config, name string) *Runner {
	c.Store, c.Cluster, c.Self = l.store, member{l, name}, model.Member{ID: name, Name: name, Boot: name + "-boot"}
	c.Backoff, c.Log = func(int) time.Duration { return time.Millisecond }, slog.New(slog.DiscardHandler)
	r := New(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); !errors.Is(err, context.Canceled) {
			l.t.Errorf("run: %v", err)
		}
	}()
	l.t.Cleanup(func() {
		cancel()
		<-done
	})
	return r
}

// until waits for a job to be as f says.
func (l *ledger) until(r *Runner, id, what string, f func(model.Job) bool) model.Job {
	l.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		changed := l.store.Changed()
		j, err := r.Job(id)
		if err != nil {
			l.t.Fatal(err)
		}
		if f(j) {
			return j
		}
		select {
		case <-changed:
		case <-limit:
			l.t.Fatalf("wait for %s: it is %+v", what, j)
		}
	}
}

// await waits for a channel to be closed.
func await(t *testing.T, what string, closed <-chan struct{}) {
	t.Helper()
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Fatalf("waited for %s", what)
	}
}

func is(s model.JobState) func(model.Job) bool {
	return func(j model.Job) bool { return j.State == s }
}

func (l *ledger) trigger(r *Runner, action string) model.Job {
	l.t.Helper()
	j, _, err := r.Trigger(context.Background(), action, "admin", "")
	if err != nil {
		l.t.Fatal(err)
	}
	return j
}

func TestAJobThatFailsTwiceIsDoneAtTheThirdAttempt(t *testing.T) {
	l := newLedger(t)
	l.lead("n1")
	var tries atomic.Int32
	r := l.runner("n1", map[string]Action{"a": func(_ context.Context, a *Attempt) error {
		a.Log("try %d", tries.Add(1))
		if tries.Load() < Tries {
			return errors.New("not yet")
		}
		return nil
	}})
	j := l.until(r, l.trigger(r, "a").ID, "the job", is(model.JobDone))
	if tries.Load() != Tries || j.Attempts != Tries-1 || j.Error != "" {
		t.Errorf("%d attempts were made, and the job is %+v", tries.Load(), j)
	}
	for n := range Tries {
		if want := fmt.Sprintf("try %d", n+1); !strings.Contains(strings.Join(j.Log, "\n"), want) {
			t.Errorf("%q is not in the log %q", want, j.Log)
		}
	}
}

func TestAJobThatFailsThreeTimesWaitsForAPerson(t *testing.T) {
	l := newLedger(t)
	l.lead("n1")
	var tries atomic.Int32
	r := l.runner("n1", map[string]Action{"a": func(ctx context.Context, a *Attempt) error {
		n := tries.Add(1)
		if err := a.Save(ctx, int64(n), 9, strconv.Itoa(int(n))); err != nil {
			return err
		}
		if n <= Tries {
			panic("broken")
		}
		return nil
	}})
	id := l.trigger(r, "a").ID
	j := l.until(r, id, "the job to fail", is(model.JobFailed))
	if tries.Load() != Tries || j.Error != "it panicked: broken" {
		t.Errorf("%d attempts were made, and the job is %+v", tries.Load(), j)
	}
	again, made, err := r.Trigger(context.Background(), "a", "admin", "")
	if err != nil || made || again.ID != id {
		t.Errorf("triggered by hand it is %+v (made: %t): %v", again, made, err)
	}
	j = l.until(r, id, "the job", is(model.JobDone))
	if j.Checkpoint != "4" || !strings.Contains(strings.Join(j.Log, "\n"), "goes on from checkpoint 3") {
		t.Errorf("the job is %+v", j)
	}
}

// What the old runner saved last may come between a new one's look at the record
// and its taking the job.
func TestS29ANewRunnerGoesOnFromWhatTheOldOneSavedLast(t *testing.T) {
	l := newLedger(t)
	const id = "one"
	l.must(store.New(store.OpJobMake, store.JobMake{ID: id, Action: "a", By: "admin"}))
	l.must(store.New(store.OpJobTake, store.JobTake{ID: id, Runner: "n1", Boot: "n1-boot"}))
	l.must(store.New(store.OpJobProgress, store.JobProgress{ID: id, Epoch: 1, Done: 1, Total: 9, Checkpoint: "1"}))
	l.meet = func(c store.Command) {
		if c.Op == store.OpJobTake {
			l.must(store.New(store.OpJobProgress, store.JobProgress{ID: id, Epoch: 1, Done: 2, Total: 9, Checkpoint: "2"}))
		}
	}
	went := make(chan string, 1)
	r := l.runner("n2", map[string]Action{"a": func(_ context.Context, a *Attempt) error {
		went <- a.Checkpoint()
		return nil
	}})
	l.lead("n2")
	if j := l.until(r, id, "the job", is(model.JobDone)); j.Done != 2 {
		t.Errorf("the job is %+v", j)
	}
	if at := <-went; at != "2" {
		t.Errorf("it went on from %q", at)
	}
}

func TestS29ANewLeaderGoesOnFromTheCheckpointAndTheOldOneIsRefused(t *testing.T) {
	const items = 50
	l := newLedger(t)
	l.lead("n1")
	var counted [items]atomic.Int32
	half, free := make(chan struct{}), make(chan struct{})
	stale := make(chan error, 1)
	work := func(pause bool) Action {
		return func(ctx context.Context, a *Attempt) error {
			at, _ := strconv.Atoi(a.Checkpoint())
			for ; at < items; at++ {
				if pause && at == items/2 {
					close(half)
					<-free // it does not look at ctx: the record alone has to stop it
					stale <- a.Save(context.WithoutCancel(ctx), items, items, strconv.Itoa(items))
					return nil
				}
				counted[at].Add(1)
				if err := a.Save(ctx, int64(at+1), items, strconv.Itoa(at+1)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	r := l.runner("n1", map[string]Action{"a": work(true)})
	l.runner("n2", map[string]Action{"a": work(false)})
	id := l.trigger(r, "a").ID
	await(t, "the first half", half)
	l.lead("n2")
	j := l.until(r, id, "the job", is(model.JobDone))
	close(free)
	if err := <-stale; !errors.Is(err, ErrStale) {
		t.Errorf("the old runner saved: %v", err)
	}
	if j.Runner != "n2" || j.Epoch != 2 || j.Attempts != 0 {
		t.Errorf("the job is %+v", j)
	}
	for n := range counted {
		if times := counted[n].Load(); times != 1 {
			t.Errorf("item %d was done %d times", n, times)
		}
	}
}

func TestACanceledJobStops(t *testing.T) {
	l := newLedger(t)
	l.lead("n1")
	began, ended := make(chan struct{}), make(chan struct{})
	r := l.runner("n1", map[string]Action{"a": func(ctx context.Context, _ *Attempt) error {
		close(began)
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}})
	id := l.trigger(r, "a").ID
	await(t, "the job to begin", began)
	if _, _, err := r.Trigger(context.Background(), "a", "admin", ""); model.KindOf(err) != model.Conflict {
		t.Errorf("triggered while it runs: %v", err)
	}
	j, err := r.Cancel(context.Background(), id, "admin")
	if err != nil || j.State != model.JobCanceled {
		t.Errorf("canceled it is %+v: %v", j, err)
	}
	await(t, "the job to end", ended)
	if _, err := r.Cancel(context.Background(), id, "admin"); model.KindOf(err) != model.Conflict {
		t.Errorf("canceled twice: %v", err)
	}
	if j := l.until(r, id, "the job", func(model.Job) bool { return true }); j.State != model.JobCanceled || j.Attempts != 0 {
		t.Errorf("the job is %+v", j)
	}
}

func TestAnActionThatNobodyKnowsIsRefusedByName(t *testing.T) {
	l := newLedger(t)
	r := New(Config{Store: l.store, Cluster: member{l, "n1"}, Actions: map[string]Action{"b": nil, "a": nil}, Carried: nothing})
	_, _, err := r.Trigger(context.Background(), "c", "admin", "")
	if model.KindOf(err) != model.Refused || !strings.Contains(err.Error(), `no "c"; there is a, b`) {
		t.Errorf("%v", err)
	}
	if _, err := r.Job("none"); model.KindOf(err) != model.NotFound {
		t.Errorf("%v", err)
	}
}

// staged is an upgrade on record whose package brings the migration "m".
func (l *ledger) staged() {
	archive := model.Archive{Digest: "d", Version: "1.1.0", Migrations: []model.Migration{{Name: "m", Phase: model.Migrate, Images: map[string]string{}}}}
	l.must(store.New(store.OpStageAnnounce, store.StageAnnounce{Staging: model.Staging{ID: "u", Archive: archive}}))
	l.must(store.New(store.OpStageCommit, store.StageCommit{ID: "u", Upgrade: model.Upgrade{ID: "u", Archive: archive, Phase: model.Staged}}))
}

func TestAMigrationIsRunByItsNamePausedAndPaced(t *testing.T) {
	l := newLedger(t)
	l.staged()
	l.lead("n1")
	ctx, free := context.Background(), make(chan struct{})
	r := l.runnerOf(Config{
		Migrate: func(context.Context, *Attempt) error { <-free; return nil },
		Carried: func(action string) (c store.JobMigrate, known bool, err error) {
			return store.JobMigrate{Upgrade: "u", Action: action, Rate: 100}, action == "m", nil
		},
	}, "n1")
	if _, _, err := r.Trigger(ctx, "other", "admin", ""); model.KindOf(err) != model.Refused {
		t.Errorf("an unknown action: %v", err)
	}
	j := l.trigger(r, "m")
	if j.By != "admin" || j.Migration == nil || j.Migration.Rate != 100 {
		t.Errorf("the job is %+v", j)
	}
	if _, err := r.Pause(ctx, j.ID, "admin"); err != nil {
		t.Fatal(err)
	}
	if j, err := r.Pace(ctx, j.ID, "admin", 500); err != nil || j.Migration.Paused != "admin" || j.Migration.Rate != 500 {
		t.Errorf("the job is %+v: %v", j.Migration, err)
	}
	if j, err := r.Resume(ctx, j.ID, "admin"); err != nil || j.Migration.Paused != "" || j.Migration.Rate != 500 {
		t.Errorf("the job is %+v: %v", j.Migration, err)
	}
	if _, err := r.Pace(ctx, j.ID, "admin", -1); model.KindOf(err) != model.Malformed {
		t.Errorf("a rate below 0: %v", err)
	}
	if _, err := r.Cancel(ctx, j.ID, "admin"); model.KindOf(err) != model.Conflict {
		t.Errorf("a migration that the upgrade needs was canceled: %v", err)
	}
	close(free)
	l.until(r, j.ID, "the migration", is(model.JobDone))
	if _, err := r.Pause(ctx, j.ID, "admin"); model.KindOf(err) != model.Conflict {
		t.Errorf("one that is over is paused: %v", err)
	}
}
