package api

import (
	"encoding/json"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader"
)

func TestCancelTakesTheScheduleBack(t *testing.T) {
	m := readyMember(t)
	m.want(t, "DELETE", "/api/v3/system/upgrade/run", "", 200, `{}`)
	if m.upgrader.by != "admin" {
		t.Errorf("cancelled by %q", m.upgrader.by)
	}
	m.upgrader.err = model.Problemf(model.Conflict, "it has started already")
	m.want(t, "DELETE", "/api/v3/system/upgrade/run", "", 409, "")
}

func TestHistoryListsWhatEnded(t *testing.T) {
	m := readyMember(t)
	const path = "/api/v3/system/upgrade/history"
	m.want(t, "GET", path, "", 200, `[]`)
	archive := model.Archive{Digest: "ab", Version: "1.1.0"}
	for _, c := range []store.Command{
		store.New(store.OpStageAnnounce, store.StageAnnounce{Staging: model.Staging{ID: "u1", Archive: archive}}),
		store.New(store.OpStageCommit, store.StageCommit{ID: "u1", Upgrade: model.Upgrade{ID: "u1", Archive: archive, From: "1.0.0", Phase: model.Staged, By: "admin"}}),
		store.New(store.OpUpgradeStart, store.UpgradeStart{ID: "u1", Note: "started", Members: []model.Progress{{ID: "m1", Step: model.Waiting}}}),
		store.New(store.OpUpgradeMove, store.UpgradeMove{ID: "u1", From: model.Checking, To: model.Failed, Final: "m1: no disk"}),
	} {
		if a, err := m.cluster.Propose(t.Context(), c); err != nil || a.Err() != nil {
			t.Fatalf("%s: %v, %v", c.Op, err, a.Err())
		}
	}
	var all []upgrader.Past
	if err := json.Unmarshal(m.want(t, "GET", path, "", 200, "").Body.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].ID != "u1" || all[0].Status != "failed" || all[0].Final != "m1: no disk" || all[0].Took == "" {
		t.Errorf("listed %+v", all)
	}
	var one upgrader.PastUpgrade
	if err := json.Unmarshal(m.want(t, "GET", path+"/u1", "", 200, "").Body.Bytes(), &one); err != nil {
		t.Fatal(err)
	}
	if one.Past != all[0] || len(one.Transcript) != 1 || len(one.Members) != 1 || one.Runs != 1 {
		t.Errorf("told %+v", one)
	}
	m.want(t, "GET", path+"/u2", "", 404, "")
}
