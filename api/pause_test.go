package api

import (
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

func TestSteeringAnswersTheProfile(t *testing.T) {
	for _, how := range []string{"pause", "resume", "rollback"} {
		t.Run(how, func(t *testing.T) {
			m := readyMember(t)
			path := "/api/v3/system/upgrade/" + how
			m.upgrader.profile = &model.Profile{Name: model.TrackingProfile, Params: map[string]any{"status": "working"}}
			if a := m.do("POST", path, ""); a.Code != 202 || !strings.Contains(a.Body.String(), `"status":"working"`) {
				t.Errorf("got %d %s", a.Code, a.Body)
			}
			if string(m.upgrader.got) != how || m.upgrader.by != "admin" {
				t.Errorf("%s was asked by %q", m.upgrader.got, m.upgrader.by)
			}

			m.upgrader.err = model.Problemf(model.NotFound, "nothing is staged")
			m.want(t, "POST", path, "", 404, "")
			m.upgrader.err = model.Problemf(model.Conflict, "the upgrade is completed")
			m.want(t, "POST", path, "", 409, "")
			m.want(t, "GET", path, "", 405, "")
		})
	}
}
