package upgrader

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// The profile is what people and Digital Rebar's clients read: one file per
// moment shows all of it.
func TestTrackingProfile(t *testing.T) {
	failed := rollout()
	failed.Phase, failed.Final = model.Failed, "n2: died three times"
	failed.Members[1].Step, failed.Members[1].Reason = model.Reverted, "died three times"
	ended := done(rollout(), "n1", "n2", "n3")
	ended.Phase, ended.Final, ended.Completed = model.Finished, "every member runs 1.1.0", true
	staged := rollout()
	staged.Phase = model.Staged
	stopping := turn(rollout(), "n2", model.Leaving)
	stopping.Stop = true
	behind := done(rollout(), "n1", "n2")
	behind.Phase, behind.Final, behind.Members[2].Step = model.Finished, "every member but n3 runs 1.1.0", model.Excluded
	asked := done(rollout(), "n1", "n2", "n3")
	asked.Phase, asked.Final, asked.Options.Hold, asked.Rollback, asked.Back = model.Finished, "every member runs 1.1.0", true, "admin", model.BackFailed
	byHand := done(rollout(), "n1", "n2", "n3")
	byHand.Phase, byHand.Completed = model.Finished, true
	for name, u := range map[string]*model.Upgrade{
		"staged":    staged,
		"rolling":   turn(done(rollout(), "n1"), "n2", model.Leaving),
		"probation": turn(rollout(), "n2", model.Probation),
		"stopping":  stopping,
		"failed":    failed,
		"finished":  ended,
		"behind":    behind,
		"by-hand":   byHand,
		"asked":     asked,
	} {
		t.Run(name, func(t *testing.T) {
			u.Transcript = []string{"2026-11-21T10:00:00Z staged 1.1.0 by admin"}
			u.Since = "2026-11-21T10:00:00Z"
			seen := seenBy("n1")
			for _, row := range u.Members {
				if finished(row) {
					seen = seen.onNew(row.ID, row.ID+"-boot2")
				}
			}
			if name == "by-hand" {
				m := seen.Members["n3"]
				m.Version, m.Image, m.Issues = "1.1.7", "sha256:other", []string{"the file at its path is not what runs"}
				seen.Members["n3"] = m
			}
			got, err := json.MarshalIndent(profile(picture{upgrade: u, members: seen.Members, cluster: model.Cluster{Level: 1}}), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", "profile-"+name+".json"), append(got, '\n'))
		})
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (run with -update and look):\n%s", path, diff)
	}
}
