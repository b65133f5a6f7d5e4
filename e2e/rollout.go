package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
)

// Status is the tracking profile's params, as far as the harness reads them.
type Status struct {
	Status     string   `json:"status"`
	Final      string   `json:"final-state"`
	Transcript []string `json:"transcript"`
	From       string   `json:"from-version"`
	To         string   `json:"to-version"`
	Completed  bool     `json:"completed"`
	Nodes      []Node   `json:"nodes"`
	Working    string   `json:"working-node"`
	Back       string   `json:"roll-back"`

	Paused     *model.Pause `json:"paused"`
	WaitingFor *WaitingFor  `json:"waiting-for"`
	Proof      struct {
		WayBack bool `json:"way-back"`
	} `json:"proof"`
}

// WaitingFor is what an upgrade waits for, as people see it.
type WaitingFor struct {
	What    string   `json:"what"`
	Until   string   `json:"until"`
	Choices []string `json:"choices"`
}

// Node is one member's row of a Status.
type Node struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Image   string `json:"image"`
	Step    string `json:"step"`
	Since   string `json:"since"`
	Attempt int    `json:"attempt"`
}

const (
	stagePath  = "/api/v3/system/upgrade/stage"
	runPath    = "/api/v3/system/upgrade/run"
	statusPath = "/api/v3/system/upgrade/status"
)

// Stage uploads the archive in file to m, and answers what m answers.
func (c *Cluster) Stage(ctx context.Context, m *Member, file string) (Answer, error) {
	f, err := os.Open(file)
	if err != nil {
		return Answer{}, err
	}
	defer f.Close()
	return c.Do(ctx, m, Request{Method: "POST", Path: stagePath, Body: f, Size: -1})
}

// Staged uploads the archive in file to m and is an error unless it was taken.
func (c *Cluster) Staged(ctx context.Context, m *Member, file string) error {
	a, err := c.Stage(ctx, m, file)
	if err != nil {
		return err
	}
	if a.Status != http.StatusCreated {
		return fmt.Errorf("stage through %s: %w", m.Name, problem(a))
	}
	return nil
}

// Run starts the staged upgrade through m, with the options in body.
func (c *Cluster) Run(ctx context.Context, m *Member, body string) error {
	a, err := c.Do(ctx, m, Text("POST", runPath, "", body))
	if err != nil {
		return err
	}
	if a.Status != http.StatusAccepted {
		return fmt.Errorf("run through %s: %w", m.Name, problem(a))
	}
	return nil
}

// Unstage asks m to clear the upgrade away, and answers what m answers.
func (c *Cluster) Unstage(ctx context.Context, m *Member) (Answer, error) {
	return c.Do(ctx, m, Request{Method: "DELETE", Path: stagePath})
}

// Status is the upgrade as m has it.
func (c *Cluster) Status(ctx context.Context, m *Member) (Status, error) {
	var p struct{ Params Status }
	err := c.Get(ctx, m, statusPath, &p)
	return p.Params, err
}

// UpToDate is Status, as new as the cluster was at the call: what was asked for
// through another member shows.
func (c *Cluster) UpToDate(ctx context.Context, m *Member) (Status, error) {
	var p struct{ Params Status }
	err := c.Get(ctx, m, statusPath+"?consistent=true", &p)
	return p.Params, err
}

// staleAfter is how long one question may take while an upgrade is followed.
const staleAfter = 2 * time.Second

// Follow waits until the upgrade has ended, well or badly, and hands each new
// line of the transcript to tell. It asks the members in turn: one may be away.
func (c *Cluster) Follow(ctx context.Context, tell func(line string)) (Status, error) {
	var last Status
	told, asked := 0, 0
	err := Until(ctx, "the upgrade to end", func() (bool, error) {
		ask, cancel := context.WithTimeout(ctx, staleAfter)
		defer cancel()
		m := c.Members[asked%len(c.Members)]
		asked++
		s, err := c.Status(ask, m)
		if err != nil {
			return false, err
		}
		for ; told < len(s.Transcript); told++ {
			tell(s.Transcript[told])
		}
		last = s
		return s.ended(), nil
	})
	return last, err
}

// at counts the members in a step.
func (s Status) at(step string) (n int) {
	for _, node := range s.Nodes {
		if node.Step == step {
			n++
		}
	}
	return n
}

// has says whether the transcript says what.
func (s Status) has(what string) bool {
	return strings.Contains(strings.Join(s.Transcript, "\n"), what)
}

// ended: a finished upgrade is over when completion is, too.
func (s Status) ended() bool {
	return s.Status == string(model.Failed) || s.Status == string(model.Finished) && s.Completed
}

// Snapshot is what the cluster is, seen from the kernel and from its own API.
type Snapshot struct {
	Leader  string
	Members map[string]Running // by name
}

// Running is one member's process.
type Running struct {
	PID     int
	Image   string // of the running executable, as the kernel has it
	Version string // as the member says
	Says    string // the image that the member says it runs
}

// Look takes a snapshot of the cluster.
func (c *Cluster) Look(ctx context.Context) (Snapshot, error) {
	s := Snapshot{Members: map[string]Running{}}
	peers, err := c.Peers(ctx, c.Members[0])
	if err != nil {
		return s, err
	}
	for _, p := range peers {
		if p.Leader {
			s.Leader = p.Name
		}
		m := c.Named(p.Name)
		if m == nil {
			return s, fmt.Errorf("the cluster has a member %q that nobody started", p.Name)
		}
		r, err := c.running(ctx, m)
		if err != nil {
			return s, err
		}
		r.Version, r.Says = p.Version, p.Image
		s.Members[p.Name] = r
	}
	return s, nil
}

func (c *Cluster) running(ctx context.Context, m *Member) (Running, error) {
	p, runs := m.Daemon()
	if !runs {
		return Running{}, fmt.Errorf("%s does not run", m.Name)
	}
	image, err := p.Image()
	return Running{PID: p.PID, Image: image}, err
}

// State is all profiles as m has them, the records that users see.
func (c *Cluster) State(ctx context.Context, m *Member) (string, error) {
	var profiles []json.RawMessage
	if err := c.Get(ctx, m, "/api/v3/profiles?consistent=true", &profiles); err != nil {
		return "", err
	}
	raw, err := json.Marshal(profiles)
	return string(raw), err
}

// anyAt says whether m shows a member in step.
func (c *Cluster) anyAt(ctx context.Context, m *Member, step model.Step) (bool, error) {
	s, err := c.Status(ctx, m)
	for _, n := range s.Nodes {
		if n.Step == string(step) {
			return true, nil
		}
	}
	return false, err
}
