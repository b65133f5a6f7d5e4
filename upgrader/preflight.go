package upgrader

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
	"github.com/theseusd/theseus/upgrader/preflight"
)

// pathPreflight asks a member what stands in the way of an upgrade on its machine.
const pathPreflight = "/upgrade/preflight"

// machineQuestion is about an upgrade's needs; empty: nothing is staged.
type machineQuestion struct {
	Image   string `json:"image,omitempty"`   // of the member's platform
	Archive string `json:"archive,omitempty"` // its digest
	Size    int64  `json:"size,omitempty"`
	Disk    int64  `json:"disk,omitempty"` // that the package asks for
	Memory  int64  `json:"memory,omitempty"`
}

type machineAnswer struct {
	Heard    time.Time       `json:"heard"` // by the member's wall clock
	Said     time.Time       `json:"said"`
	Findings []model.Finding `json:"findings"`
}

func (u *Upgrader) answerPreflight(ctx context.Context, in json.RawMessage) (any, error) {
	a := machineAnswer{Heard: preflight.Wall()}
	var q machineQuestion
	if err := json.Unmarshal(in, &q); err != nil {
		return nil, model.Problemf(model.Malformed, "read the question: %v", err)
	}
	if q.Image == "" || q.Image != u.Self.Image { // else it was brought there by hand: nothing of it will change
		a.Findings = findings(u.Own.Prerequisites(ctx, u.DataDir, 0))
		a.Findings = append(a.Findings, preflight.Here(u.DataDir).Look(u.needs(q))...)
		a.Findings = append(a.Findings, u.Hooks.look()...)
	}
	a.Said = preflight.Wall()
	return a, nil
}

// findings are the prerequisites of an executable that do not hold.
func findings(prerequisites []binary.Finding) (found []model.Finding) {
	for _, f := range prerequisites {
		found = append(found, model.Finding{Name: preflight.Prerequisites, Severity: model.Hard,
			What: f.Name + ": " + f.Path + ": " + f.What, Remedy: f.Remedy})
	}
	return found
}

// needs is what this machine must have: room for the copies of a trial run, for the
// archive if it is not here, and what the package asks for beside.
func (u *Upgrader) needs(q machineQuestion) preflight.Needs {
	room := u.trialRoom() + uint64(max(q.Disk, 0))
	if have, err := u.Store.Archives(); err == nil && q.Archive != "" && !slices.Contains(have, q.Archive) {
		room += uint64(q.Size + q.Size/8)
	}
	return preflight.Needs{Room: room, Memory: uint64(max(q.Memory, 0))}
}

// round is one look at all members that take part in an upgrade, before it.
type round struct {
	*Upgrader
	picture
	options model.Options

	mu       sync.Mutex // held for what follows
	found    []model.Finding
	readings []preflight.Reading
}

// preflight gathers what stands in the way of what is staged, or of any upgrade
// when nothing is. It changes nothing.
func (u *Upgrader) preflight(ctx context.Context, p picture, o model.Options) ([]model.Finding, error) {
	r := &round{Upgrader: u, picture: p, options: o}
	u.everyone(ctx, r.taking(), func(ctx context.Context, m model.Member) []string {
		r.visit(ctx, m)
		return nil
	})
	r.found = append(r.found, preflight.Offsets(r.readings)...)
	r.found = append(r.found, u.steady(ctx, p, o)...)
	for _, look := range []func() ([]model.Finding, error){r.pending, r.leftover, r.contract} {
		found, err := look()
		if err != nil {
			return nil, err
		}
		r.found = append(r.found, found...)
	}
	r.lenient()
	slices.SortFunc(r.found, func(a, b model.Finding) int {
		return cmp.Or(strings.Compare(a.Member, b.Member), strings.Compare(a.Name, b.Name), strings.Compare(a.What, b.What))
	})
	return r.found, nil
}

// taking is the picture with the members that take part.
func (r *round) taking() picture {
	p := r.picture
	p.members = without(p.members, r.options.Exclude)
	return p
}

// visit gathers what there is of one member.
func (r *round) visit(ctx context.Context, m model.Member) {
	reading, found, err := r.ask(ctx, m)
	if err != nil && r.options.Await > 0 {
		return // it may come later
	}
	if err != nil {
		found = append(found, silentMember(m, err))
	}
	found = append(found, r.known(m)...)
	for i := range found {
		found[i].Member = m.Name
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = append(r.found, found...)
	if reading.Member != "" {
		r.readings = append(r.readings, reading)
	}
}

// ask has a member look at its machine. One of an earlier build knows less.
func (r *round) ask(ctx context.Context, m model.Member) (preflight.Reading, []model.Finding, error) {
	asked, began := preflight.Wall(), time.Now()
	var a machineAnswer
	err := r.Cluster.Call(ctx, m.ID, pathPreflight, r.question(m), &a)
	if model.KindOf(err) == model.NotFound {
		found, err := r.askEarlier(ctx, m)
		return preflight.Reading{}, found, err
	}
	if err != nil {
		return preflight.Reading{}, nil, err
	}
	return preflight.Reading{Member: m.Name, Asked: asked, Heard: a.Heard, Said: a.Said, Answered: asked.Add(time.Since(began))}, a.Findings, nil
}

func (r *round) question(m model.Member) machineQuestion {
	if r.upgrade == nil {
		return machineQuestion{}
	}
	a := r.upgrade.Archive
	q := machineQuestion{Image: a.Images[m.Platform], Archive: a.Digest, Size: a.Size}
	if a.Rules != nil {
		q.Disk, q.Memory = a.Rules.Disk, a.Rules.Memory
	}
	return q
}

// askEarlier asks what every build answers.
func (r *round) askEarlier(ctx context.Context, m model.Member) (found []model.Finding, err error) {
	var said []string
	if err := r.Cluster.Call(ctx, m.ID, pathReady, readyQuestion{Image: r.question(m).Image}, &said); err != nil {
		return nil, err
	}
	for _, what := range said {
		found = append(found, model.Finding{Name: preflight.Prerequisites, Severity: model.Hard, What: strings.TrimPrefix(what, m.Name+": ")})
	}
	return append(found, model.Finding{Name: preflight.Earlier, Severity: model.Advice, What: "it runs an earlier build, which looks at its executable only",
		Measured: m.Version, Remedy: "look at its disk, memory and clock by hand"}), nil
}

// silentMember is a member that takes part and does not answer.
func silentMember(m model.Member, err error) model.Finding {
	return model.Finding{Name: preflight.Unreachable, Severity: model.Hard, What: fmt.Sprintf("does not answer on %s: %v", m.Raft, err),
		Remedy: fmt.Sprintf("start it; or leave it out with --exclude %s, then it follows when it is back; or remove it with `theseus system ha remove %s`; "+
			"or start with --await 30m and it has so long to come", m.Name, m.Name)}
}

// known is what the records say of a member.
func (r *round) known(m model.Member) (found []model.Finding) {
	for _, issue := range m.Issues {
		found = append(found, model.Finding{Name: preflight.Issues, Severity: model.Soft, What: issue, Remedy: "put it right"})
	}
	if r.upgrade == nil || m.Version == r.upgrade.Archive.Version || m.Image == r.upgrade.Archive.Images[m.Platform] {
		return found // what it was staged for does not change
	}
	alone := r.picture
	alone.members = map[string]model.Member{m.ID: m}
	for _, reason := range misfits(alone, r.upgrade.Archive) {
		found = append(found, model.Finding{Name: preflight.Version, Severity: model.Hard, What: strings.TrimPrefix(reason, m.Name+": "),
			Measured: m.Version, Limit: r.upgrade.Archive.Version, Remedy: "stage a version that it may go to"})
	}
	return found
}

// pending is an upgrade before this one that is not completed.
func (r *round) pending() ([]model.Finding, error) {
	before := r.release
	if before == nil || before.Completed || r.upgrade != nil && r.upgrade.Archive.Version == before.Archive.Version {
		return nil, nil
	}
	data, err := r.dataReport(func(picture) *model.Upgrade { return before })
	if err != nil {
		return nil, err
	}
	what, remedy := "the upgrade to "+before.Archive.Version+" is not completed", "start or upgrade who was left out, and it completes by itself"
	left := undoneText(data, model.Expand, model.Migrate)
	switch {
	case left != "":
		what, remedy = what+", and its data is not migrated: "+left, data.What
	case before.Options.Hold, before.Options.Mode == model.ModeBackground:
		remedy = "`theseus system upgrade complete`"
	}
	return []model.Finding{{Name: preflight.Pending, Severity: model.Hard, What: what,
		Measured: "the cluster is at " + r.cluster.Version, Limit: before.Archive.Version, Remedy: remedy}}, nil
}

// leftover is what an upgrade before this one, completed, has yet to do with the
// data. Once the next one begins nobody does it any more.
func (r *round) leftover() ([]model.Finding, error) {
	before := r.release
	if before == nil || !before.Completed || r.upgrade == nil || r.upgrade.ID == before.ID {
		return nil, nil
	}
	data, err := r.dataReport(func(picture) *model.Upgrade { return before })
	left := undoneText(data, model.Contract)
	if err != nil || left == "" {
		return nil, err
	}
	return []model.Finding{{Name: preflight.Migrations, Severity: model.Soft, What: "the upgrade to " + before.Archive.Version + " has yet to do with the data: " + left,
		Remedy: data.What}}, nil
}

// contract holds what the package asks for against what operators keep in profiles.
func (r *round) contract() ([]model.Finding, error) {
	if r.upgrade == nil {
		return nil, nil
	}
	rules := r.upgrade.Archive.Rules
	if rules == nil {
		rules = &model.Rules{}
	}
	companions, err := r.params(model.CompanionsProfile)
	if err != nil {
		return nil, err
	}
	settings, err := r.params(model.SettingsProfile)
	if err != nil {
		return nil, err
	}
	found := append(preflight.Companions(rules.Companions, companions), preflight.Settings(rules.Settings, settings)...)
	backup, err := r.backup(rules.Backup)
	return append(found, backup...), err
}

func (r *round) params(profile string) (map[string]any, error) {
	var p model.Profile
	err := r.Store.View(func(v *store.View) (err error) {
		p, err = v.Profile(profile)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return p.Params, err
}

// backup finds none, or one that is too old. What the package does not ask for is
// missed only by who leaves out the one that is made before a minor or major upgrade.
func (r *round) backup(most time.Duration) ([]model.Finding, error) {
	if most == 0 && (r.options.Backup != model.BackupNone || line(r.cluster.Version) == line(r.upgrade.Archive.Version)) {
		return nil, nil
	}
	last, some, err := r.lastBackup()
	return preflight.BackupDue(most, last, some, preflight.Wall()), err
}

func (r *round) lastBackup() (made time.Time, some bool, err error) {
	var all []model.Backup
	err = r.Store.View(func(v *store.View) (err error) {
		all, err = v.Backups()
		return err
	})
	if err != nil || len(all) == 0 {
		return made, false, err
	}
	made, err = time.Parse(time.RFC3339Nano, all[0].Made)
	return made, true, err
}

// line is the release line of a version: 3.3 of 3.3.4.
func line(version string) string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return major + "." + minor
}

// lenient has soft findings refuse nothing in a cluster that an earlier build began:
// its operators have no way to accept them. The quorum has always been counted.
func (r *round) lenient() {
	for i, f := range r.found {
		if r.cluster.Level == 0 && f.Severity == model.Soft && f.Name != preflight.Quorum {
			r.found[i].Severity = model.Advice
		}
	}
}

// ready looks at every member that takes part, and at all together. What it finds
// and the order accepts is answered; anything else that counts is a refusal. The
// migrations are tried last: nothing else may be in the way of them.
func (u *Upgrader) ready(ctx context.Context, p picture, o model.Options) (accepted []model.Finding, err error) {
	found, err := u.preflight(ctx, p, o)
	if err != nil {
		return nil, err
	}
	accepted, reasons := weigh(found, o)
	if len(reasons) == 0 {
		_, reasons = weigh(u.tryMigrations(ctx, p, o, runnableLimit).found, o)
	}
	if len(reasons) > 0 {
		return nil, &model.Problem{Kind: model.Conflict, Messages: reasons}
	}
	return accepted, nil
}

// weigh tells what the order accepts from what refuses it.
func weigh(found []model.Finding, o model.Options) (accepted []model.Finding, reasons []string) {
	for _, f := range found {
		switch {
		case f.Severity == model.Advice:
		case f.Severity == model.Soft && slices.Contains(o.Ignore, f.Name):
			f.Ignored = true
			accepted = append(accepted, f)
		default:
			reasons = append(reasons, refusal(f))
		}
	}
	return accepted, reasons
}

// refusal is a finding in one line, with the way to accept it if there is one.
func refusal(f model.Finding) string {
	text := f.String()
	if f.Severity == model.Soft && f.Name != preflight.Quorum { // which says so itself
		text += "; or accept it with --ignore " + f.Name
	}
	return text
}

// acceptedNote is what a run began in spite of, for the transcript.
func acceptedNote(by string, accepted []model.Finding) string {
	if len(accepted) == 0 {
		return ""
	}
	var said []string
	for _, f := range accepted {
		what := f.What
		if f.Measured != "" {
			what += ", " + f.Measured
		}
		if f.Member != "" {
			what = f.Member + ": " + what
		}
		said = append(said, fmt.Sprintf("%s (%s)", f.Name, what))
	}
	return "; accepted by " + by + ": " + strings.Join(said, ", ")
}
