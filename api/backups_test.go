package api

import (
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

func TestABackupIsMadeListedSentAndRemoved(t *testing.T) {
	m := readyMember(t)
	for _, body := range []string{"", `{"reason":"before the move"}`} {
		if got := m.want(t, "POST", "/api/v3/backups", body, 201, "").Body.String(); !strings.Contains(got, `"by":"admin"`) {
			t.Errorf("made %s", got)
		}
	}
	m.want(t, "POST", "/api/v3/backups", `{"why":"x"}`, 400, "")
	if got := m.want(t, "GET", "/api/v3/backups", "", 200, "").Body.String(); !strings.Contains(got, `"silent":["m2"]`) {
		t.Errorf("listed %s", got)
	}
	got := m.do("GET", "/api/v3/backups/manual-1.backup", "")
	if got.Code != 200 || got.Body.String() != "manual-1.backup" || got.Header().Get("Content-Length") != "15" || got.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("sent %q with %v", got.Body.String(), got.Header())
	}
	m.want(t, "DELETE", "/api/v3/backups/manual-1.backup", "", 200, "")
	m.want(t, "POST", "/api/v3/backups/restore", "the bytes", 200, "")
	if string(m.upgrader.got) != "the bytes" || m.upgrader.by != "admin" {
		t.Errorf("restored %q by %q", m.upgrader.got, m.upgrader.by)
	}
	m.upgrader.err = model.Problemf(model.Conflict, "in use")
	m.want(t, "POST", "/api/v3/backups/restore", "the bytes", 409, "")
}
