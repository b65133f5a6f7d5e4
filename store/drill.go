package store

import (
	"encoding/json"
	"slices"

	"github.com/theseusd/theseus/model"
)

// Drill is the life of a cluster in commands, from nothing: one of every type at
// least that does something, of those that may be proposed in a cluster like this
// one. Two versions that apply it to empty records have the same after each.
func Drill(cluster model.Cluster) *Commands {
	c := &Commands{each: true}
	parts := []func(before int) []Command{drillBegin(cluster), drillRestore, drillRecords, drillForward, drillBack, drillLate, drillJobs}
	if open(OpJobMigrate, cluster) { // a level below could not read its archive either
		parts = slices.Insert(parts, 5, drillData)
	}
	if open(OpAct, cluster) {
		parts = append(parts, drillActs)
	}
	for _, part := range parts {
		for _, one := range part(len(c.entries)) {
			if open(one.Op, cluster) {
				c.entries = append(c.entries, replayEntry{Index: uint64(len(c.entries) + 1), Data: one.Encode()})
			}
		}
	}
	return c
}

const (
	drillOld = "1.0.0"
	drillNew = "1.1.0"
)

func drillMember(id, version string) Command {
	return New(OpMemberReport, MemberReport{Member: model.Member{
		ID: id, Name: id, Version: version, Image: "sha256:" + version, Platform: "linux/amd64", Boot: id + version}})
}

// drillBegin is a new cluster, at no higher level than the one it stands for: a
// member that goes back may know none.
func drillBegin(like model.Cluster) func(int) []Command {
	return func(int) []Command {
		return []Command{
			New(OpClusterInit, ClusterInit{Cluster: model.Cluster{ID: "drill", Version: drillOld}, Admin: model.User{Name: "admin"}}),
			New(OpClusterLevel, ClusterLevel{Before: 0, Level: like.Level}),
		}
	}
}

// drillRecords is what is there before any upgrade.
func drillRecords(int) []Command {
	const profile = "drill"
	return []Command{
		drillMember("n1", drillOld), drillMember("n2", drillOld), drillMember("n3", drillOld),
		New(OpMemberRemove, MemberRemove{ID: "n3"}),
		New(OpTokenPut, TokenPut{Token: model.Token{Hash: "a", User: "admin", Expires: "2001-01-01T00:00:00Z"}}),
		New(OpTokenPut, TokenPut{Token: model.Token{Hash: "b", User: "admin", Expires: "2003-01-01T00:00:00Z"}}),
		New(OpTokenPrune, TokenPrune{Before: "2002-01-01T00:00:00Z"}),
		New(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: profile}}),
		New(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "other"}}),
		New(OpProfilePut, ProfilePut{Profile: model.Profile{Name: profile, Params: map[string]any{"a": 1}}}),
		New(OpParamSet, ParamSet{Profile: profile, Key: "b", Value: "two"}),
		New(OpParamRemove, ParamRemove{Profile: profile, Key: "a"}),
		New(OpParamsReplace, ParamsReplace{Profile: profile, Params: map[string]any{"c": []any{1.5, nil, true}}}),
		New(OpProfileDelete, ProfileDelete{Name: "other"}),
		New(OpProbe, Probe{Member: "n1"}),
		New(OpStateDigest, StateDigest{}),
		New(OpCanaryWrite, CanaryWrite{Canary: model.Canary{Member: "n1", Nonce: "drill"}}),
	}
}

func drillArchive() model.Archive {
	return model.Archive{Digest: "drill", Size: 1, Version: drillNew, Images: map[string]string{"linux/amd64": "sha256:" + drillNew}}
}

func drillPlan() []model.Progress {
	return []model.Progress{
		{ID: "n1", Step: model.Waiting, From: drillOld, Image: "sha256:" + drillOld},
		{ID: "n2", Step: model.Waiting, From: drillOld, Image: "sha256:" + drillOld}}
}

// drillStaged brings an archive to every member.
func drillStaged(id string) []Command { return drillStagedWith(id, drillArchive()) }

func drillStagedWith(id string, archive model.Archive) []Command {
	vote := func(op Op, member string) Command { return New(op, StageVote{ID: id, Member: member}) }
	ref := StageRef{ID: id}
	return []Command{
		New(OpStageAnnounce, StageAnnounce{Staging: model.Staging{ID: id + "-dropped", Archive: archive}}),
		New(OpStageDrop, StageRef{ID: id + "-dropped"}),
		New(OpStageAnnounce, StageAnnounce{Staging: model.Staging{ID: id, Archive: archive}}),
		vote(OpStageAnswer, "n1"), vote(OpStageAnswer, "n2"),
		New(OpStageRenew, ref), New(OpStageSeal, ref),
		vote(OpStageAttest, "n1"), vote(OpStageAttest, "n2"),
		New(OpStageCommit, StageCommit{ID: id, Upgrade: model.Upgrade{
			ID: id, Archive: archive, From: drillOld, Phase: model.Staged, By: "admin", Members: drillPlan()}}),
	}
}

// drillTurn is one member's way through, with a grant that is taken back before.
func drillTurn(id, member string, attempt int, grant Op, to model.Step) []Command {
	ref := TurnRef{ID: id, Member: member, Attempt: attempt}
	step := func(from, to model.Step) Command {
		return New(OpTurnStep, TurnStep{ID: id, Member: member, Attempt: attempt + 1, From: from, To: to, Boot: "b", Reason: "drill"})
	}
	again := TurnRef{ID: id, Member: member, Attempt: attempt + 1, Note: "granted"}
	return []Command{
		New(grant, ref), New(OpTurnWithdraw, ref), New(grant, again),
		New(OpTurnClaim, TurnClaim{ID: id, Member: member, Attempt: attempt + 1, Boot: "b"}),
		step(model.Claimed, model.Draining), step(model.Draining, model.Leaving),
		step(model.Leaving, model.Probation), step(model.Probation, to),
	}
}

func drillMove(id string, from, to model.Phase) Command {
	return New(OpUpgradeMove, UpgradeMove{ID: id, From: from, To: to, Note: string(to)})
}

// drillForward is an upgrade that fails, goes on, finishes and is cleared away.
func drillForward(int) []Command {
	const id = "forward"
	at := model.Schedule{At: "2030-01-01T00:00:00Z", By: "admin"}
	ref := UpgradeRef{ID: id, Note: "drill"}
	wait := model.Wait{For: "drill", Passed: 2, Why: "drill"}
	checked := func(run int, findings ...string) Command {
		return New(OpUpgradeChecked, UpgradeChecked{ID: id, Run: run, Member: "n1", Findings: findings})
	}
	return slices.Concat(drillStaged(id), []Command{
		New(OpUpgradeSchedule, UpgradeSchedule{ID: id, Schedule: &at}),
		New(OpScheduleDue, ScheduleDue{ID: id, Schedule: at, Members: drillPlan()}),
		checked(1, "drill"), drillMove(id, model.Checking, model.Failed),
		New(OpUpgradeStart, UpgradeStart{ID: id, Members: drillPlan(), Note: "started"}),
		New(OpUpgradeElapsed, UpgradeElapsed{ID: id, For: "drill", Passed: 1}), New(OpUpgradeWait, UpgradeWait{ID: id, Wait: wait}),
		checked(2), New(OpUpgradeNote, ref), New(OpUpgradeBackup, UpgradeBackup{ID: id, Run: 2, Backup: "drill"}), drillMove(id, model.Checking, model.Rolling),
		New(OpUpgradePause, UpgradePause{ID: id, By: "admin"}), New(OpUpgradeResume, ref),
	}, drillTurn(id, "n1", 1, OpTurnGrant, model.Done), []Command{
		drillMember("n1", drillNew), New(OpClusterFloor, ClusterFloor{Version: drillNew}),
		New(OpUpgradeProof, UpgradeProof{ID: id, Proof: model.Proof{Run: 2, Member: "n1"}}),
		New(OpUpgradeSkip, UpgradeMember{ID: id, Member: "n2"}), drillMember("n2", drillNew),
		drillMove(id, model.Rolling, model.Verifying),
		New(OpUpgradeVerified, UpgradeMember{ID: id, Member: "n1"}), New(OpUpgradeVerified, UpgradeMember{ID: id, Member: "n2"}),
		drillMove(id, model.Verifying, model.Finished),
		New(OpUpgradeComplete, UpgradeComplete{ID: id, Version: drillNew}), New(OpUpgradeClear, ref),
	})
}

// drillBack is an upgrade that goes back, and is stopped in its next run.
func drillBack(int) []Command {
	const id = "back"
	ref := UpgradeRef{ID: id}
	return slices.Concat(drillStaged(id), []Command{
		New(OpUpgradeRun, UpgradeStart{ID: id, Options: model.Options{Hold: true, HoldAfter: 1}, Members: drillPlan()}),
		drillMove(id, model.Checking, model.Rolling),
	}, drillTurn(id, "n1", 1, OpTurnGrant, model.Done), []Command{
		New(OpUpgradeRollback, UpgradeRollback{ID: id, By: "admin"}),
		New(OpUpgradeRevert, UpgradeRevert{ID: id, From: model.Rolling, Going: []string{"n1"}}),
		New(OpTurnBack, TurnRef{ID: id, Member: "n1", Attempt: 3}), New(OpTurnWithdraw, TurnRef{ID: id, Member: "n1", Attempt: 3}),
		New(OpUpgradeCorrect, UpgradeCorrect{ID: id, Member: "n1", From: model.Returning, To: model.Reverted, Reason: "drill"}),
		New(OpUpgradeReverted, UpgradeReverted{ID: id, Back: model.BackDone, Final: "drill"}),
		New(OpUpgradeStart, UpgradeStart{ID: id, Members: drillPlan()}),
		New(OpUpgradeStop, ref), New(OpUpgradeClear, ref),
	})
}

// drillLate is an upgrade that a member follows after its end.
func drillLate(int) []Command {
	const id = "late"
	plan := drillPlan()
	plan[1].Step = model.Excluded
	return slices.Concat(drillStaged(id), []Command{
		New(OpUpgradeStart, UpgradeStart{ID: id, Members: plan}),
		drillMove(id, model.Checking, model.Rolling), drillMove(id, model.Rolling, model.Verifying), drillMove(id, model.Verifying, model.Finished),
		New(OpUpgradeBack, UpgradeMember{ID: id, Member: "n2"}),
		New(OpUpgradeLate, UpgradeLate{ID: id, Member: "n2", Boot: "b"}),
	})
}

// drillJobs is a job that fails, is triggered and done, and one that is canceled.
func drillJobs(int) []Command {
	const one, two = "job one", "job two"
	return []Command{
		New(OpJobMake, JobMake{ID: one, Action: "drill", By: "admin"}),
		New(OpJobTake, JobTake{ID: one, Runner: "n1", Boot: "b", Note: "taken"}),
		New(OpJobProgress, JobProgress{ID: one, Epoch: 1, Done: 1, Total: 2, Checkpoint: "1", Lines: []string{"drill"}}),
		New(OpJobEnd, JobEnd{ID: one, Epoch: 1, To: model.JobFailed, Error: "drill"}),
		New(OpJobTrigger, JobAsk{ID: one, Note: "triggered"}),
		New(OpJobTake, JobTake{ID: one, Epoch: 1, Runner: "n2", Boot: "b"}),
		New(OpJobEnd, JobEnd{ID: one, Epoch: 2, To: model.JobDone}),
		New(OpJobMake, JobMake{ID: two, Action: "drill", By: "admin"}),
		New(OpJobCancel, JobAsk{ID: two}),
	}
}

// drillData is an upgrade whose data is migrated, and found not to be; before are
// the commands until then.
func drillData(before int) []Command {
	const id, name = "data", "drill"
	archive := drillArchive()
	archive.Migrations = []model.Migration{{Name: name, Phase: model.Migrate, Images: map[string]string{"linux/amd64": "sha256:drill"}}}
	begin := slices.Concat(drillStagedWith(id, archive), []Command{
		New(OpUpgradeRun, UpgradeStart{ID: id, Options: model.Options{Throttle: 1}, Members: drillPlan()}),
		drillMove(id, model.Checking, model.Rolling), drillMove(id, model.Rolling, model.Verifying), drillMove(id, model.Verifying, model.Migrating),
		New(OpJobMigrate, JobMigrate{Upgrade: id, Action: name, By: "admin", Holds: true, Note: "begins"}),
	})
	job := MigrationJob(name, uint64(before+len(begin)))
	value := json.RawMessage(`"drill"`)
	return slices.Concat(begin, []Command{
		New(OpJobTake, JobTake{ID: job, Runner: "n1", Boot: "b"}),
		New(OpJobPace, JobPace{ID: job, Rate: 1, Paused: "admin", Note: "paused"}),
		New(OpJobWrite, JobWrite{ID: job, Epoch: 1, Op: OpProfileCreate, Body: json.RawMessage(`{"profile":{"Name":"data"}}`)}),
		New(OpJobProgress, JobProgress{ID: job, Epoch: 1, Done: 1, Total: 2, Checkpoint: "1"}),
		New(OpJobEnd, JobEnd{ID: job, Epoch: 1, To: model.JobDone}),
		New(OpUpgradeRemigrate, UpgradeRemigrate{ID: id, Names: []string{name}, Note: "left over"}),
		New(OpParamsChange, ParamsChange{Changes: []ParamChange{{Profile: "data", Key: "k", Now: value}}}),
		New(OpParamsChange, ParamsChange{Changes: []ParamChange{{Profile: "data", Key: "k", Was: value}, {Profile: "data", Key: "l", Now: value}}}),
		New(OpUpgradeStop, UpgradeRef{ID: id}), New(OpUpgradeClear, UpgradeRef{ID: id}),
		New(OpStoreConvert, Convert{}),
	})
}

// drillActs are commands of a person.
func drillActs(int) []Command {
	who := model.Actor{By: "admin", From: "192.0.2.1", Through: "n1"}
	return []Command{
		New(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "acts"}}).GivenBy(who),
		New(OpParamSet, ParamSet{Profile: "acts", Key: "k", Value: "v"}).GivenBy(who),
		New(OpJobMake, JobMake{ID: "job three", Action: "drill", By: "admin"}).GivenBy(who),
		NewAct(who, "drill"),
	}
}
