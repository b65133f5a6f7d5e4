package store

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/theseusd/theseus/model"
)

// What came with protocol level 3: the audit trail.

// OpAct is a command of a person: another command, and the line in the audit trail
// that says who gave it. Both are applied or neither.
const OpAct Op = "act"

// Act is the body of OpAct. Without a command in it, it is nothing but the line.
type Act struct {
	model.Actor
	What string          `json:"what"`
	Op   Op              `json:"op"` // one of deeds
	Body json.RawMessage `json:"body"`
}

// NewAct is the line alone, for what is done without a command.
func NewAct(by model.Actor, what string) Command {
	return New(OpAct, Act{Actor: by, What: brief(what)})
}

// wordsLimit is how many bytes of a line are kept: it may quote what came in a request.
const wordsLimit = 4096

func brief(what string) string {
	if len(what) <= wordsLimit {
		return what
	}
	return strings.ToValidUTF8(what[:wordsLimit], "") + " ..."
}

// GivenBy is c as a command of a person, with its id and time. What members do by
// themselves stays as it is, whoever was the cause.
func (c Command) GivenBy(a model.Actor) Command {
	d, some := deeds()[c.Op]
	if !some {
		return c
	}
	raw, err := json.Marshal(Act{Actor: a, What: brief(cmp.Or(d.words(c.Body), string(c.Op))), Op: c.Op, Body: c.Body})
	if err != nil {
		panic(fmt.Sprintf("command %s of a person: %v", c.Op, err)) // it was JSON before
	}
	c.Op, c.Body = OpAct, raw
	return c
}

// actOps needs the table of all other commands: one of them is in each act.
func actOps(table map[Op]op) map[Op]op {
	all := deeds()
	return map[Op]op{OpAct: atLevel(3, func(e entry, c Act) error { return act(e, c, all, table) }, Act{What: "sample"})}
}

func act(e entry, c Act, deeds map[Op]deed, table map[Op]op) error {
	kind := actOnCluster
	if c.Op != "" {
		d, some := deeds[c.Op]
		if !some {
			return fmt.Errorf("this version does not know that a person may give the command %q", c.Op)
		}
		if err := table[c.Op].apply(e, c.Body); err != nil {
			return err
		}
		kind = d.kind
	}
	return enter(e, kind, model.Act{Index: e.index, At: e.at, Actor: c.Actor, What: c.What})
}

// deed is how the audit trail takes a command that people give.
type deed struct {
	kind  byte
	words func(json.RawMessage) string
}

// deeds are all of them. What a parameter is set to is left out of the words: it
// may be a secret.
func deeds() map[Op]deed {
	return map[Op]deed{
		OpProfileCreate: onData(func(c ProfileCreate) string { return "created profile " + c.Profile.Name }),
		OpProfilePut:    onData(func(c ProfilePut) string { return "replaced profile " + c.Profile.Name }),
		OpProfileDelete: onData(func(c ProfileDelete) string { return "deleted profile " + c.Name }),
		OpParamSet:      onData(func(c ParamSet) string { return fmt.Sprintf("set param %s of profile %s", c.Key, c.Profile) }),
		OpParamRemove:   onData(func(c ParamRemove) string { return fmt.Sprintf("removed param %s of profile %s", c.Key, c.Profile) }),
		OpParamsReplace: onData(func(c ParamsReplace) string { return "replaced the params of profile " + c.Profile }),
		OpParamsChange:  onData(wordsOfChanges),
		OpTokenPut:      onData(wordsOfToken),

		OpStageAnnounce:   onCluster(func(c StageAnnounce) string { return "handed in " + wordsOfArchive(c.Staging.Archive) }),
		OpStageDrop:       onCluster(func(StageRef) string { return "dropped the archive that was being staged" }),
		OpUpgradeStart:    onCluster(func(c UpgradeStart) string { return c.Note }),
		OpUpgradeRun:      onCluster(func(c UpgradeStart) string { return c.Note }),
		OpUpgradeSchedule: onCluster(func(c UpgradeSchedule) string { return c.Note }),
		OpUpgradePause:    onCluster(func(c UpgradePause) string { return c.Note }),
		OpUpgradeResume:   onCluster(func(c UpgradeRef) string { return c.Note }),
		OpUpgradeRollback: onCluster(func(c UpgradeRollback) string { return c.Note }),
		OpUpgradeStop:     onCluster(func(c UpgradeRef) string { return c.Note }),
		OpUpgradeComplete: onCluster(func(c UpgradeComplete) string { return c.Note }),
		OpUpgradeClear:    onCluster(func(c UpgradeRef) string { return c.Note }),
		OpJobMake:         onCluster(func(c JobMake) string { return fmt.Sprintf("made job %s (%s)", c.Action, c.ID) }),
		OpJobTrigger:      onCluster(wordsOfJob),
		OpJobCancel:       onCluster(wordsOfJob),
		OpJobPace:         onCluster(func(c JobPace) string { return fmt.Sprintf("job %s: %s", c.ID, c.Note) }),
		OpBackupMade:      onCluster(func(c BackupMade) string { return "made backup " + c.Backup.Name }),
		OpRestoreCommit:   onCluster(func(c RestoreCommit) string { return fmt.Sprintf("restored a backup of %d records", c.Records) }),
	}
}

func onData[B any](say func(B) string) deed { return deed{kind: actOnData, words: words(say)} }

func onCluster[B any](say func(B) string) deed { return deed{kind: actOnCluster, words: words(say)} }

// words puts the body of one type of command into words. One that cannot be read is
// refused by whoever applies it.
func words[B any](say func(B) string) func(json.RawMessage) string {
	return func(raw json.RawMessage) string {
		var body B
		if err := strict(raw, &body); err != nil {
			return "gave a command that cannot be read"
		}
		return say(body)
	}
}

func wordsOfChanges(c ParamsChange) string {
	profiles := map[string]bool{}
	for _, one := range c.Changes {
		profiles[one.Profile] = true
	}
	return fmt.Sprintf("changed %d params of %d profiles", len(c.Changes), len(profiles))
}

func wordsOfToken(c TokenPut) string {
	if c.Token.Join {
		return "made a join token, good until " + c.Token.Expires
	}
	return fmt.Sprintf("got a token for %s, good until %s", c.Token.User, c.Token.Expires)
}

func wordsOfArchive(a model.Archive) string {
	return fmt.Sprintf("%s (sha256:%s)", a.Version, a.Digest)
}

func wordsOfJob(c JobAsk) string { return fmt.Sprintf("job %s: %s", c.ID, c.Note) }

// Gate says whether an entry may be proposed in a cluster, as the function does.
func (s *Store) Gate(data []byte, cluster model.Cluster) error {
	if IsChunk(data) {
		return nil // they were always there
	}
	c, err := decodeCommand(data)
	if err != nil {
		return err
	}
	if err := gateIn(s.table, c.Op, cluster); err != nil || c.Op != OpAct {
		return err
	}
	var a Act
	if err := strict(c.Body, &a); err != nil || a.Op == "" {
		return err
	}
	return gateIn(s.table, a.Op, cluster)
}
