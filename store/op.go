package store

import (
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Every type of command, who reads what in it, and the cluster version from
// which it may be proposed. The list is the protocol between versions: it only
// grows, and docs/protocol.md says when.
const (
	OpClusterInit   Op = "cluster.init"
	OpProbe         Op = "cluster.probe"
	OpMemberReport  Op = "member.report"
	OpMemberRemove  Op = "member.remove"
	OpTokenPut      Op = "token.put"
	OpTokenPrune    Op = "token.prune"
	OpProfileCreate Op = "profile.create"
	OpProfilePut    Op = "profile.put"
	OpProfileDelete Op = "profile.delete"
	OpParamSet      Op = "param.set"
	OpParamRemove   Op = "param.remove"
	OpParamsReplace Op = "params.replace"

	OpStageAnnounce Op = "stage.announce"
	OpStageAnswer   Op = "stage.answer"
	OpStageRenew    Op = "stage.renew"
	OpStageSeal     Op = "stage.seal"
	OpStageAttest   Op = "stage.attest"
	OpStageCommit   Op = "stage.commit"
	OpStageDrop     Op = "stage.drop"

	OpUpgradeStart    Op = "upgrade.start"
	OpUpgradeMove     Op = "upgrade.move"
	OpUpgradeChecked  Op = "upgrade.checked"
	OpUpgradeSkip     Op = "upgrade.skip"
	OpUpgradeBack     Op = "upgrade.back"
	OpUpgradeLate     Op = "upgrade.late"
	OpUpgradeVerified Op = "upgrade.verified"
	OpUpgradeElapsed  Op = "upgrade.elapsed"
	OpUpgradeStop     Op = "upgrade.stop"
	OpUpgradeComplete Op = "upgrade.complete"
	OpUpgradeClear    Op = "upgrade.clear"
	OpUpgradeSchedule Op = "upgrade.schedule"
	OpScheduleDue     Op = "schedule.due"
	OpUpgradeNote     Op = "upgrade.note"
	OpTurnGrant       Op = "turn.grant"
	OpTurnClaim       Op = "turn.claim"
	OpTurnStep        Op = "turn.step"
	OpTurnWithdraw    Op = "turn.withdraw"

	OpClusterLevel    Op = "cluster.level"
	OpClusterFloor    Op = "cluster.floor"
	OpUpgradeRun      Op = "upgrade.run"
	OpUpgradePause    Op = "upgrade.pause"
	OpUpgradeResume   Op = "upgrade.resume"
	OpUpgradeRollback Op = "upgrade.rollback"
	OpUpgradeRevert   Op = "upgrade.revert"
	OpUpgradeReverted Op = "upgrade.reverted"
	OpUpgradeCorrect  Op = "upgrade.correct"
	OpUpgradeProof    Op = "upgrade.proof"
	OpUpgradeWait     Op = "upgrade.wait"
	OpTurnBack        Op = "turn.back"
	OpCanaryWrite     Op = "canary.write"

	OpJobMake     Op = "job.make"
	OpJobTake     Op = "job.take"
	OpJobProgress Op = "job.progress"
	OpJobEnd      Op = "job.end"
	OpJobTrigger  Op = "job.trigger"
	OpJobCancel   Op = "job.cancel"

	OpBackupMade    Op = "backup.made"
	OpUpgradeBackup Op = "upgrade.backup"
	OpRestoreBegin  Op = "restore.begin"
	OpRestorePut    Op = "restore.put"
	OpRestoreCommit Op = "restore.commit"
	OpRestoreDrop   Op = "restore.drop"

	OpJobMigrate       Op = "job.migrate"
	OpJobPace          Op = "job.pace"
	OpJobWrite         Op = "job.write"
	OpUpgradeRemigrate Op = "upgrade.remigrate"
	OpParamsChange     Op = "params.change"
	OpStoreConvert     Op = "store.convert"
)

// first stands for the first release: a command that was always there.
const first = ""

// Level is the highest protocol level that this build reads and writes. It goes
// up with each build that adds commands to those of a release; the record of the
// cluster says which one every member has.
const Level = 3

// op is one row of the table: since which cluster version and protocol level a
// command may be proposed, how it is applied, and a body to try it with.
type op struct {
	since  string
	level  int
	apply  func(e entry, body json.RawMessage) error
	sample any
}

// entry is what a command acts on: the records, and where in the log it stands.
type entry struct {
	tx    *bolt.Tx
	index uint64
	at    string
	known known // of a rehearsal; nil anywhere else
}

// with makes a row of a typed function: the body is decoded strictly first.
func with[B any](since string, apply func(entry, B) error, sample B) op {
	return op{since: since, sample: sample, apply: func(e entry, raw json.RawMessage) error {
		var body B
		if err := strict(raw, &body); err != nil {
			return fmt.Errorf("read its body: %w", err)
		}
		return apply(e, body)
	}}
}

// atLevel is with for commands that came with a protocol level.
func atLevel[B any](level int, apply func(entry, B) error, sample B) op {
	row := with(first, apply, sample)
	row.level = level
	return row
}

// ops is the table. Building it anew at each call keeps it out of package state.
func ops() map[Op]op {
	table := map[Op]op{}
	for _, part := range []map[Op]op{clusterOps(), profileOps(), stageOps(), upgradeOps(), scheduleOps(), turnOps(), backOps(), canaryOps(), markerOps(), jobOps(), backupOps(), restoreOps(), migrateOps(), convertOps(), nextOps()} {
		for name, row := range part {
			table[name] = proper(name, row)
		}
	}
	for name, row := range actOps(table) {
		table[name] = proper(name, row)
	}
	return table
}

// apply applies one entry in tx. The error is a fault: the entry cannot be read
// here, or the disk failed; what the command is answered with is in the Answer.
// A chunk changes no record: its payload went to its archive with the log.
func apply(tx *bolt.Tx, table map[Op]op, index uint64, data []byte) (Answer, error) {
	return applyTo(entry{tx: tx, index: index}, table, data)
}

// applyTo is apply for an entry whose time is not read yet.
func applyTo(e entry, table map[Op]op, data []byte) (Answer, error) {
	if IsChunk(data) {
		return Answer{Index: e.index}, nil
	}
	c, err := decodeCommand(data)
	if err != nil {
		return Answer{}, err
	}
	row, known := table[c.Op]
	if !known {
		return Answer{}, fmt.Errorf("this version does not know the command %q", c.Op)
	}
	if a, again := answered(e.tx, c.ID); again {
		return a, nil
	}
	e.at = c.At
	err = row.apply(e, c.Body)
	word, ok := code(err)
	if !ok {
		return Answer{}, fmt.Errorf("apply %s: %w", c.Op, err)
	}
	a := Answer{Index: e.index, Code: word}
	return a, remember(e.tx, c.ID, a)
}
