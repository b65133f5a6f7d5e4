package upgrader

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/jobs"
)

// Where a migration, or the data of an upgrade as a whole, stands.
const (
	dataNone      = "none"
	dataWaiting   = "waiting"
	dataRunning   = "running"
	dataPaused    = "paused"
	dataFailed    = "failed"
	dataDone      = "done"
	dataCompleted = "completed"
)

// Progress is how far the data of the upgrade on record is, or of the one that
// brought what runs. It may be called on any member, which answers what it knows.
func (u *Upgrader) Progress() (model.MigrationReport, error) { return u.dataReport(picture.data) }

// dataReport is how far the data of an upgrade is. The jobs are read before the record
// is: of a job that is over the record then knows what became of it.
func (u *Upgrader) dataReport(of func(picture) *model.Upgrade) (r model.MigrationReport, err error) {
	var all []model.Job
	err = u.Store.View(func(v *store.View) (err error) {
		all, err = v.Jobs()
		return err
	})
	if err != nil {
		return r, err
	}
	p, err := u.look()
	if err != nil {
		return r, err
	}
	return reportOn(of(p), all), nil
}

// data is the upgrade whose migrations people ask for: the one on record, or the
// last one for as long as that has something left to do and nothing newer begins.
func (p picture) data() *model.Upgrade {
	begun := p.upgrade != nil && p.upgrade.Phase != model.Staged
	if begun || p.release == nil || p.upgrade != nil && len(unfinished(p.release, model.MigrationPhases()...)) == 0 {
		return p.upgrade
	}
	return p.release
}

func noMigrations(up *model.Upgrade) model.MigrationReport {
	r := model.MigrationReport{State: dataNone, What: "there is no upgrade on record", Migrations: []model.MigrationProgress{},
		MigrationCount: model.MigrationCount{Percent: 100}}
	if up != nil {
		r.Version, r.Mode, r.What = up.Archive.Version, modeOf(up), "the upgrade to "+up.Archive.Version+" brings no migrations"
	}
	return r
}

func modeOf(up *model.Upgrade) string {
	if up.Options.Mode == "" {
		return model.ModeComplete
	}
	return up.Options.Mode
}

// reportOn is how far an upgrade's data is, by its record and the jobs.
func reportOn(up *model.Upgrade, all []model.Job) model.MigrationReport {
	if up == nil || len(up.Archive.Migrations) == 0 {
		return noMigrations(up)
	}
	r := model.MigrationReport{Version: up.Archive.Version, Mode: modeOf(up), Migrations: []model.MigrationProgress{}}
	var dues []model.MigrationProgress
	for _, m := range up.Archive.Migrations {
		one := progressOf(up, m, jobOf(up, m.Name, all))
		r.Migrations = append(r.Migrations, one)
		if up.Completed || m.Phase == model.Expand || m.Phase == model.Migrate {
			dues = append(dues, one)
		}
	}
	r.MigrationCount = sumOf(dues)
	r.State = stateOf(up, dues)
	r.What = whatOf(up, r, all)
	if r.State == dataWaiting && wentBack(up) {
		r.MigrationCount = model.MigrationCount{ETA: -1} // nothing of it counts any more
	}
	return r
}

// jobOf is the last job of a migration, or nil.
func jobOf(up *model.Upgrade, name string, all []model.Job) *model.Job {
	for _, j := range slices.Backward(all) {
		if j.Action == name && j.Migration != nil && j.Migration.Upgrade == up.ID {
			return &j
		}
	}
	return nil
}

// progressOf is how far one migration is. A job that is over and did not leave it
// done counts for nothing: the next one begins anew.
func progressOf(up *model.Upgrade, m model.Migration, j *model.Job) model.MigrationProgress {
	one := model.MigrationProgress{Name: m.Name, Phase: m.Phase, State: dataWaiting, MigrationCount: model.MigrationCount{ETA: -1}}
	if j != nil {
		one.Job, one.Attempts, one.Error = j.ID, j.Attempts, j.Error
	}
	switch {
	case isMigrated(up, m.Name):
		one.State, one.Error = dataDone, ""
		one.Percent, one.ETA = 100, 0
		if j != nil {
			one.Done, one.Total = j.Done, j.Total
		}
	case j != nil && !j.State.Over():
		one.State = stateOfJob(up, j)
		one.MigrationCount = countOf(j, one.State)
	case up.Again >= Attempts:
		one.State, one.Error = dataFailed, fmt.Sprintf("the final check found data left over %d times", up.Again)
	default:
		one.Error = ""
	}
	return one
}

func stateOfJob(up *model.Upgrade, j *model.Job) string {
	switch {
	case j.State == model.JobFailed:
		return dataFailed
	case j.Migration.Paused != "", up.Paused != nil:
		return dataPaused
	case j.State == model.JobRunning:
		return dataRunning
	}
	return dataWaiting
}

// countOf is what a job that is not over has done, and how fast the present attempt
// does it. 99 percent is the most as long as it is not done.
func countOf(j *model.Job, state string) model.MigrationCount {
	c := model.MigrationCount{Done: j.Done, Total: j.Total, Percent: min(share(j.Done, j.Total), 99), ETA: -1}
	if state != dataRunning {
		return c
	}
	began, err := time.Parse(time.RFC3339Nano, j.Migration.Began)
	if err != nil {
		return c
	}
	told, err := time.Parse(time.RFC3339Nano, j.Migration.Told)
	if err != nil || !told.After(began) || j.Done <= j.Migration.From {
		return c
	}
	c.Rate = float64(j.Done-j.Migration.From) / told.Sub(began).Seconds()
	if j.Total > 0 {
		c.ETA = int64(math.Ceil(float64(j.Total-j.Done) / c.Rate))
	}
	return c
}

// share is how many percent of a total are done, rounded down; of 0 nothing is known.
func share(done, total int64) int {
	if total <= 0 {
		return 0
	}
	return int(done * 100 / total)
}

// sumOf is several migrations together. They run one after the other, and how much
// one has to do it says when it begins: each counts for the same share.
func sumOf(all []model.MigrationProgress) model.MigrationCount {
	if len(all) == 0 {
		return model.MigrationCount{Percent: 100}
	}
	sum, known := model.MigrationCount{}, true
	for _, one := range all {
		sum.Done, sum.Total = sum.Done+one.Done, sum.Total+one.Total
		sum.Percent += one.Percent
		sum.Rate += one.Rate // one runs
		known = known && (one.Total > 0 || one.State == dataDone)
	}
	sum.Percent /= len(all)
	switch {
	case !known:
		sum.Total, sum.ETA = 0, -1
	case sum.Percent == 100:
		sum.ETA = 0
	case sum.Rate == 0:
		sum.ETA = -1
	default:
		sum.ETA = etaOf(all, sum.Rate)
	}
	return sum
}

func etaOf(all []model.MigrationProgress, rate float64) int64 {
	left := int64(0)
	for _, one := range all {
		if one.State != dataDone {
			left += one.Total - one.Done
		}
	}
	return int64(math.Ceil(float64(left) / rate))
}

// wentBack says whether an upgrade goes back, or has.
func wentBack(up *model.Upgrade) bool { return up.Phase == model.Reverting || up.Back != "" }

// stateOf is where all that is due stands: where the worst of it does.
func stateOf(up *model.Upgrade, dues []model.MigrationProgress) string {
	if up.Phase == model.Staged || wentBack(up) {
		return dataWaiting
	}
	for _, state := range []string{dataFailed, dataPaused, dataRunning, dataWaiting} {
		if slices.ContainsFunc(dues, func(m model.MigrationProgress) bool { return m.State == state }) {
			return state
		}
	}
	if up.Completed {
		return dataCompleted
	}
	return dataDone
}

// whatOf is the state in a sentence, with what to do.
func whatOf(up *model.Upgrade, r model.MigrationReport, all []model.Job) string {
	switch {
	case up.Phase == model.Staged:
		return fmt.Sprintf("the upgrade to %s has not begun: `theseus system upgrade start`", r.Version)
	case wentBack(up):
		return fmt.Sprintf("the upgrade to %s went back, and its migrations ended: what they moved stays, and the version before reads it", r.Version)
	case r.State == dataCompleted:
		return fmt.Sprintf("the upgrade to %s is completed, and its data is migrated", r.Version)
	case r.State == dataDone:
		return doneText(up)
	}
	i := slices.IndexFunc(r.Migrations, func(m model.MigrationProgress) bool { return m.State == r.State })
	m := r.Migrations[i]
	switch r.State {
	case dataFailed:
		return failedText(up, m)
	case dataPaused:
		return pausedText(up, jobOf(up, m.Name, all))
	case dataRunning:
		return runningText(m, jobOf(up, m.Name, all))
	}
	return waitingText(up, m)
}

func doneText(up *model.Upgrade) string {
	text := "the data is migrated as far as it has to be before completion; "
	switch {
	case up.Phase != model.Finished:
		return text + "the upgrade goes on by itself"
	case up.Options.Mode == model.ModeBackground:
		return text + "a last check and the completion wait for a person: `theseus system upgrade complete`"
	case up.Options.Hold:
		return text + "completion is on hold: `theseus system upgrade complete`"
	}
	return text + "the upgrade completes by itself when every member runs " + up.Archive.Version
}

func failedText(up *model.Upgrade, m model.MigrationProgress) string {
	retry := fmt.Sprintf("`theseus jobs run %s`, and it goes on from its checkpoint", m.Name)
	switch {
	case up.Phase == model.Failed:
		retry = "`theseus system upgrade start`"
	case up.Again >= Attempts:
		retry = fmt.Sprintf("`theseus jobs run %s`", m.Name)
	}
	return fmt.Sprintf("%s has failed and waits for a person (%s): put right what it says, then %s", m.Name, m.Error, retry)
}

func pausedText(up *model.Upgrade, j *model.Job) string {
	if by := j.Migration.Paused; by != "" {
		return fmt.Sprintf("%s rests from its next checkpoint on, paused by %s: `theseus jobs resume %s`", j.Action, by, j.ID)
	}
	return fmt.Sprintf("%s rests from its next checkpoint on, as the upgrade is paused by %s: `theseus system upgrade resume`", j.Action, up.Paused.By)
}

func runningText(m model.MigrationProgress, j *model.Job) string {
	text := fmt.Sprintf("%s is at work: %s", m.Name, howFar(m))
	if j.Migration.Holds {
		text += "; until it is done nobody else writes, reads are served"
	}
	if m.Attempts > 0 {
		text += fmt.Sprintf("; attempts that failed: %d, the last one: %s", m.Attempts, m.Error)
	}
	return text
}

func waitingText(up *model.Upgrade, m model.MigrationProgress) string {
	switch {
	case m.Error != "":
		return fmt.Sprintf("%s failed (%s) and is tried again by itself from its checkpoint, %d times in all; `theseus jobs log %s`", m.Name, m.Error, jobs.Tries, m.Job)
	case up.Phase == model.Failed:
		return fmt.Sprintf("the upgrade to %s has failed: when it goes on so does the migration: `theseus system upgrade start`", up.Archive.Version)
	case up.Paused != nil: // before the job is made
		return fmt.Sprintf("the upgrade is paused by %s: `theseus system upgrade resume`", up.Paused.By)
	case m.Phase == model.Expand || m.Phase == model.Migrate:
		return fmt.Sprintf("%s runs by itself %s", m.Name, ripeness(m.Phase))
	}
	return m.Name + " runs by itself, next"
}

// howFar is a migration's count as people read it.
func howFar(m model.MigrationProgress) string {
	if m.Total == 0 {
		return "it has not said how much there is"
	}
	text := fmt.Sprintf("%d of %d items, %d %%", m.Done, m.Total, m.Percent)
	if m.ETA >= 0 {
		text += fmt.Sprintf(", about %s left", span(time.Duration(m.ETA)*time.Second))
	}
	return text
}

// undoneText names the migrations that are not done, and how far they are.
func undoneText(r model.MigrationReport, phases ...model.MigrationPhase) string {
	var said []string
	for _, m := range r.Migrations {
		if m.State != dataDone && slices.Contains(phases, m.Phase) {
			said = append(said, fmt.Sprintf("%s (%s, %d %%)", m.Name, m.State, m.Percent))
		}
	}
	return strings.Join(said, ", ")
}
