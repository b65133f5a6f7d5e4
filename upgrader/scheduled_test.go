package upgrader

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// lone is a cluster of one that leads: what is proposed is applied to its store.
type lone struct {
	Cluster
	store *store.Store
	index uint64
	down  error // what asking the member ends in
}

func (l *lone) Propose(_ context.Context, c store.Command) (store.Answer, error) {
	l.index++
	return l.store.Apply([]store.Entry{{Index: l.index, Term: 1, Data: c.Encode()}})[0], l.store.Fault()
}

func (l *lone) Leading() bool    { return true }
func (l *lone) Voters() []string { return []string{"1"} }

func (l *lone) Call(context.Context, string, string, any, any) error { return l.down }

// scheduledFor is an upgrader of a cluster of one with an upgrade that is staged
// and starts at a time from now.
func scheduledFor(t *testing.T, wait time.Duration, window string) (*Upgrader, *lone) {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &lone{store: s}
	u := &Upgrader{Config: Config{Store: s, Cluster: l}}
	archive := model.Archive{Digest: "ab", Version: "1.1.0"}
	for _, c := range []store.Command{
		store.New(store.OpClusterInit, store.ClusterInit{Cluster: model.Cluster{ID: "c", Version: "1.0.0"}, Admin: model.User{Name: "admin"}}),
		store.New(store.OpMemberReport, store.MemberReport{Member: model.Member{ID: "1", Name: "n1"}}),
		store.New(store.OpStageAnnounce, store.StageAnnounce{Staging: model.Staging{ID: "u", Archive: archive}}),
		store.New(store.OpStageCommit, store.StageCommit{ID: "u", Upgrade: model.Upgrade{ID: "u", Archive: archive, Phase: model.Staged}}),
		store.New(store.OpUpgradeSchedule, store.UpgradeSchedule{ID: "u", Note: noteScheduled + "admin", Schedule: &model.Schedule{
			At: time.Now().Add(wait).Format(time.RFC3339Nano), By: "admin", Options: model.Options{Deadline: time.Hour, Window: window}}}),
	} {
		if a, err := l.Propose(t.Context(), c); err != nil || a.Err() != nil {
			t.Fatalf("%s: %v, %v", c.Op, err, a.Err())
		}
	}
	return u, l
}

// act looks and acts once, as if tryEvery had gone by.
func act(t *testing.T, u *Upgrader) (acted bool, up *model.Upgrade) {
	t.Helper()
	u.tried = time.Time{}
	p, err := u.look()
	if err == nil {
		acted, err = u.scheduled(t.Context(), p)
	}
	if err == nil {
		p, err = u.look()
	}
	if err != nil {
		t.Fatal(err)
	}
	return acted, p.upgrade
}

func TestARefusedStartIsTriedAgainAndToldOnce(t *testing.T) {
	u, l := scheduledFor(t, -time.Minute, "")
	for _, reason := range []string{"n1 is down", "n1 is down", "n1 is full", "n1 is down"} {
		l.down = errors.New(reason)
		if _, up := act(t, u); up.Phase != model.Staged || up.Schedule == nil {
			t.Fatalf("%s: it is %s, scheduled %+v", reason, up.Phase, up.Schedule)
		}
	}
	_, up := act(t, u)
	if issues := scheduleIssues(up); len(issues) != 2 || !strings.Contains(issues[0], "is down") || !strings.Contains(issues[1], "is full") {
		t.Errorf("issues %q", issues)
	}
	l.down = nil
	if acted, up := act(t, u); !acted || up.Phase != model.Checking || up.Schedule != nil || up.Options.Deadline != time.Hour || len(up.Members) != 1 {
		t.Errorf("well again, it is %+v", up)
	}
}

func TestAStartRestsBetweenTwoTries(t *testing.T) {
	u, l := scheduledFor(t, -time.Minute, "")
	l.down = errors.New("n1 is down")
	act(t, u)
	u.tried = time.Now().Add(time.Hour)
	l.down = nil
	p, err := u.look()
	if err != nil {
		t.Fatal(err)
	}
	if acted, err := u.scheduled(t.Context(), p); acted || err != nil {
		t.Errorf("tried again at once: %t, %v", acted, err)
	}
}

func TestAStartThatIsTooLateIsDropped(t *testing.T) {
	u, _ := scheduledFor(t, -grace-time.Minute, "")
	acted, up := act(t, u)
	if !acted || up.Phase != model.Staged || up.Schedule != nil {
		t.Fatalf("it is %s, scheduled %+v", up.Phase, up.Schedule)
	}
	if issues := scheduleIssues(up); len(issues) != 1 || !strings.HasPrefix(issues[0], noteDropped) {
		t.Errorf("issues %q", issues)
	}
	if acted, _ := act(t, u); acted {
		t.Error("it acts again")
	}
}

func TestAStartInAWindowIsNeverTooLate(t *testing.T) {
	u, l := scheduledFor(t, -24*time.Hour, "00:00-24:00")
	l.down = errors.New("n1 is down")
	if _, up := act(t, u); up.Schedule == nil {
		t.Fatal("it was dropped")
	}
	l.down = nil
	if _, up := act(t, u); up.Phase != model.Checking {
		t.Errorf("it is %s", up.Phase)
	}
}

func TestNothingStartsEarlyOrCancelled(t *testing.T) {
	u, _ := scheduledFor(t, time.Hour, "")
	if acted, up := act(t, u); acted || up.Phase != model.Staged {
		t.Errorf("an hour early: %t, %s", acted, up.Phase)
	}
	if err := u.Cancel(t.Context(), "admin"); err != nil {
		t.Fatal(err)
	}
	if acted, up := act(t, u); acted || up.Schedule != nil {
		t.Errorf("cancelled: %t, %+v", acted, up.Schedule)
	}
	if err := u.Cancel(t.Context(), "admin"); model.KindOf(err) != model.NotFound {
		t.Errorf("cancelled twice: %v", err)
	}
	if err := u.Start(t.Context(), []byte(`{"at":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`"}`), "admin"); err != nil {
		t.Fatal(err)
	}
	if acted, up := act(t, u); acted || up.Phase != model.Staged || up.Schedule == nil {
		t.Errorf("scheduled again: %t, %s, %+v", acted, up.Phase, up.Schedule)
	}
	if err := u.Start(t.Context(), nil, "admin"); err != nil { // at once, in its place
		t.Fatal(err)
	}
	if _, up := act(t, u); up.Phase != model.Checking || up.Schedule != nil {
		t.Errorf("started: %s, %+v", up.Phase, up.Schedule)
	}
	if err := u.Cancel(t.Context(), "admin"); model.KindOf(err) != model.Conflict {
		t.Errorf("cancelled at work: %v", err)
	}
}

func TestAStartOutsideItsWindowWaitsForIt(t *testing.T) {
	u, _ := scheduledFor(t, time.Hour, "")
	window := laterToday()
	if err := u.Start(t.Context(), []byte(`{"window":"`+window+`"}`), "admin"); err != nil {
		t.Fatal(err)
	}
	acted, up := act(t, u)
	if acted || up.Phase != model.Staged || up.Schedule == nil || up.Schedule.At != "" || up.Schedule.Options.Window != window {
		t.Errorf("%t, %s, %+v", acted, up.Phase, up.Schedule)
	}
}

// laterToday is a window that is closed now and opens in two hours or so.
func laterToday() string {
	opens := time.Now().UTC().Add(150 * time.Minute).Truncate(time.Hour)
	return opens.Format("15:04") + "-" + opens.Add(time.Hour).Format("15:04")
}

func TestMembersWhoseWindowIsClosedAreToldOfOnce(t *testing.T) {
	u, l := scheduledFor(t, -time.Minute, "")
	_, up := act(t, u)
	window := laterToday()
	for _, c := range []store.Command{
		store.New(store.OpUpgradeMove, store.UpgradeMove{ID: up.ID, From: model.Checking, To: model.Failed}),
		store.New(store.OpUpgradeStart, store.UpgradeStart{ID: up.ID, Options: model.Options{Window: window}, Members: up.Members}),
		store.New(store.OpUpgradeMove, store.UpgradeMove{ID: up.ID, From: model.Checking, To: model.Rolling}),
	} {
		if a, err := l.Propose(t.Context(), c); err != nil || a.Err() != nil {
			t.Fatalf("%s: %v, %v", c.Op, err, a.Err())
		}
	}
	acted, up := act(t, u)
	last := up.Transcript[len(up.Transcript)-1]
	if !acted || !strings.Contains(last, noteWindow+"the window "+window+" opens at ") {
		t.Errorf("told: %q", last)
	}
	if acted, _ := act(t, u); acted {
		t.Error("told twice")
	}
}
