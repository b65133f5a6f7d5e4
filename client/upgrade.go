package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/theseusd/theseus/model"
)

// Stage uploads an archive that can be read only once, leaving out the members
// named, and returns when every other has attested its own copy; created is
// false when this very archive was there already. size in bytes; -1 when it is
// not known.
//
// The archive is only sent when the member has asked for it (Expect:
// 100-continue), so that a refusal comes before the first byte.
func (c *Client) Stage(ctx context.Context, body io.Reader, size int64, exclude ...string) (blob model.BlobInfo, created bool, err error) {
	r := uploading(body, size)
	r.query = exclusion(exclude)
	return c.staged(ctx, r)
}

// Inline uploads an archive to a server that upgrades itself alone: it is staged
// and started in one step.
func (c *Client) Inline(ctx context.Context, body io.Reader, size int64) (blob model.BlobInfo, err error) {
	r := uploading(body, size)
	r.path = "system/upgrade"
	blob, _, err = c.staged(ctx, r)
	return blob, err
}

func (c *Client) staged(ctx context.Context, r request) (blob model.BlobInfo, created bool, err error) {
	a, err := c.do(ctx, r)
	if err != nil {
		return blob, false, err
	}
	return blob, a.status == http.StatusCreated, decode(r.path, a.body, &blob)
}

// Unstage clears the upgrade away; pending says that a step under way ends
// first. It may be called again.
func (c *Client) Unstage(ctx context.Context) (pending bool, err error) {
	status, err := c.Write(ctx, http.MethodDelete, "system/upgrade/stage", nil, nil)
	return status == http.StatusAccepted, err
}

// RunOptions are what may be said when an upgrade is started; nil leaves it to
// the server.
type RunOptions struct {
	Deadline  *time.Duration // for a member's whole turn
	Probation *time.Duration // how long a new member must stay well
	At        *time.Time     // when to start
	Window    *string        // when members may go
	Exclude   []string       // names or ids of members to leave out; empty and not nil: none
	Await     *time.Duration // how long members that are down may take to come
	OnFailure string         // halt or rollback
	Ignore    []string       // findings to accept, by name
	HoldAfter int            // pause when so many members are done; 0: never
	Hold      bool           // completion waits for the operator
	Force     bool           // try a build again that failed before
	NoBackup  bool           // begin without a backup
	Mode      string         // complete or background: how migrations run
	Throttle  int64          // items that migrations move in a second at most; 0: no limit
}

// body is nil when nothing is said.
func (o RunOptions) body() any {
	said := map[string]any{}
	for name, d := range map[string]*time.Duration{"deadline": o.Deadline, "probation": o.Probation, "await": o.Await} {
		if d != nil {
			said[name] = d.String()
		}
	}
	if o.At != nil {
		said["at"] = o.At.Format(time.RFC3339)
	}
	if o.Window != nil {
		said["window"] = *o.Window
	}
	if o.Exclude != nil {
		said["exclude"] = o.Exclude
	}
	o.care(said)
	if len(said) == 0 {
		return nil
	}
	return said
}

// care says how carefully the run is to go.
func (o RunOptions) care(said map[string]any) {
	if o.OnFailure != "" {
		said["onFailure"] = o.OnFailure
	}
	if len(o.Ignore) > 0 {
		said["ignore"] = o.Ignore
	}
	if o.NoBackup {
		said["backup"] = model.BackupNone
	}
	if o.Mode != "" {
		said["mode"] = o.Mode
	}
	if o.Throttle != 0 {
		said["throttle"] = o.Throttle
	}
	if o.HoldAfter != 0 {
		said["holdAfter"] = o.HoldAfter
	}
	for name, flag := range map[string]bool{"hold": o.Hold, "force": o.Force} {
		if flag {
			said[name] = true
		}
	}
}

// Start runs what is staged. While it is under way already, nothing new begins.
func (c *Client) Start(ctx context.Context, o RunOptions) (Upgrade, error) {
	var raw json.RawMessage
	if _, err := c.Write(ctx, http.MethodPost, "system/upgrade/run", o.body(), &raw); err != nil {
		return Upgrade{}, err
	}
	return upgradeOf(raw, 0)
}

// Pause has nothing new begin. It may be called again, as may the next two.
func (c *Client) Pause(ctx context.Context) (Upgrade, error) { return c.steer(ctx, "pause") }

// Resume goes on with what was paused or held.
func (c *Client) Resume(ctx context.Context) (Upgrade, error) { return c.steer(ctx, "resume") }

// Rollback takes the whole rollout back, as long as it is not completed.
func (c *Client) Rollback(ctx context.Context) (Upgrade, error) { return c.steer(ctx, "rollback") }

func (c *Client) steer(ctx context.Context, how string) (Upgrade, error) {
	var raw json.RawMessage
	if _, err := c.Write(ctx, http.MethodPost, "system/upgrade/"+how, nil, &raw); err != nil {
		return Upgrade{}, err
	}
	return upgradeOf(raw, 0)
}

// Upgrade reads the state of the upgrade. With consistent it is at least as new
// as everything that the cluster had answered before the call.
func (c *Client) Upgrade(ctx context.Context, consistent bool) (Upgrade, error) {
	var query url.Values
	if consistent {
		query = url.Values{"consistent": {"true"}}
	}
	var raw json.RawMessage
	index, err := c.Read(ctx, "system/upgrade/status", query, &raw)
	if err != nil {
		return Upgrade{}, err
	}
	return upgradeOf(raw, index)
}

// Upgrade is the state of an upgrade, from the params of its tracking profile.
type Upgrade struct {
	Raw   json.RawMessage `json:"-"` // the profile as the server sent it
	Index uint64          `json:"-"` // of the store it was read from; 0: not told

	Status       string      `json:"status"` // staged, working, finished or failed
	FinalState   string      `json:"final-state"`
	Archive      string      `json:"archive"` // sha256:<hex>
	Transcript   []string    `json:"transcript"`
	WorkingNode  string      `json:"working-node"`
	WorkingState string      `json:"working-state"`
	Progress     int         `json:"progress"` // per cent
	From         string      `json:"from-version"`
	To           string      `json:"to-version"`
	Completed    bool        `json:"completed"`
	Nodes        []Node      `json:"nodes"`
	WaitingFor   *WaitingFor `json:"waiting-for"`
	Paused       *Pause      `json:"paused"`
	RollBack     string      `json:"roll-back"` // asked, or how it ended: done or failed
	Issues       []string    `json:"issues"`

	Migration *model.MigrationReport `json:"migration"` // nil: nothing is to be migrated
}

// Node is one member in an upgrade.
type Node struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	API     string `json:"api"`
	Version string `json:"version"`
	Image   string `json:"image"`
	Step    string `json:"step"`
	Reason  string `json:"reason"`
	Attempt int    `json:"attempt"`
}

// WaitingFor says why an upgrade does not go on, and what may be done.
type WaitingFor struct {
	What    string   `json:"what"`
	Since   string   `json:"since"`
	Until   string   `json:"until"`
	Then    string   `json:"then"` // what happens at Until
	Choices []string `json:"choices"`
}

// Pause is who asked that nothing new begins.
type Pause struct {
	By    string `json:"by"`
	Since string `json:"since"`
}

// Held says that nobody is out and nothing happens before somebody resumes it.
func (u Upgrade) Held() bool { return u.Paused != nil && u.WorkingNode == "" }

// Over says that nothing more happens by itself. What has finished or failed goes
// on when somebody has asked to go back.
func (u Upgrade) Over() bool {
	return (u.Status == "finished" || u.Status == "failed") && u.RollBack != model.BackAsked
}

func upgradeOf(raw json.RawMessage, index uint64) (Upgrade, error) {
	var profile struct{ Params Upgrade }
	err := decode("system/upgrade/status", raw, &profile)
	profile.Params.Raw, profile.Params.Index = raw, index
	return profile.Params, err
}
