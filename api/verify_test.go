package api

import (
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

func TestVerifyAnswersTheReport(t *testing.T) {
	m := readyMember(t)
	const path = "/api/v3/system/upgrade/verify"
	m.upgrader.verified = model.VerifyReport{Version: "1.1.0", Cluster: "1.0.0", Archive: "sha256:ab", Notes: []string{},
		Members:  []model.VerifyMember{{ID: "1", Name: "n1", Version: "1.1.0", Image: "sha256:cd", Applied: 7, Wrote: true}},
		Findings: []model.Finding{{Name: model.FindingRead, Severity: model.Hard, Member: "n1", What: "stale"}}}
	for _, method := range []string{"GET", "POST"} {
		m.want(t, method, path, "", 200, `{"version":"1.1.0","cluster":"1.0.0","archive":"sha256:ab","ok":false,"members":[{"id":"1","name":"n1","observer":false,"ok":false,"version":"1.1.0","image":"sha256:cd","applied":7,"wrote":true,"read":false}],"findings":[{"name":"read","severity":"hard","member":"n1","what":"stale"}],"notes":[]}`)
	}
	m.upgrader.err = model.Problemf(model.Conflict, "the upgrade is under way")
	m.want(t, "GET", path, "", 409, `{"Model":"system","Key":"upgrade/verify","Type":"GET","Messages":["the upgrade is under way"],"Code":409}`)
}

func TestNobodyVerifiesTheClusterToSeeWhatTheAPILooksLike(t *testing.T) {
	shapes, err := readyMember(t).Shapes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for at := range shapes {
		if strings.Contains(at, "upgrade/verify") {
			t.Errorf("asked for %s", at)
		}
	}
}
