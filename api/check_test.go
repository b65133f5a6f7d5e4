package api

import (
	"testing"

	"github.com/theseusd/theseus/model"
)

func TestCheckAnswersTheReport(t *testing.T) {
	m := readyMember(t)
	const path = "/api/v3/system/upgrade/check"
	m.upgrader.report = model.CheckReport{Version: "1.1.0", Archive: "sha256:ab", Findings: []model.Finding{}, Members: []model.CheckMember{
		{ID: "1", Name: "n1", Findings: []model.Finding{{Name: "disk", Severity: model.Hard, What: "full"}}, Replayed: 3, Note: "n", Took: "1s"}}}
	for _, method := range []string{"GET", "POST"} {
		m.want(t, method, path, "", 200, `{"version":"1.1.0","archive":"sha256:ab","ok":false,"findings":[],"members":[{"id":"1","name":"n1","findings":[{"name":"disk","severity":"hard","what":"full"}],"replayed":3,"note":"n","took":"1s"}]}`)
	}
	m.upgrader.err = model.Problemf(model.NotFound, "nothing is staged")
	m.want(t, "POST", path, "", 404, `{"Model":"system","Key":"upgrade/check","Type":"POST","Messages":["nothing is staged"],"Code":404}`)
	m.upgrader.err = model.Problemf(model.Conflict, "the upgrade is under way")
	m.want(t, "GET", path, "", 409, "")
}
