package e2e

import (
	"net/http"
	"testing"

	"github.com/theseusd/theseus/model"
)

const inlinePath = "/api/v3/system/upgrade"

func TestASingleStepUpgradesAClusterOfOne(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 1 })
	ctx := within(t)
	m := c.Members[0]
	before := must[Snapshot](t)(c.Look(ctx))
	r := staging(t, archive(t, v110), "")
	r.Path = inlinePath

	a := must[Answer](t)(c.Do(ctx, m, r))

	answered(t, a, nil, http.StatusCreated)
	check(t, Until(ctx, "the other version", func() (bool, error) {
		var info model.Info
		err := c.Get(ctx, m, "/api/v3/info", &info)
		return info.Version == "1.1.0", err
	}))
	after := must[Snapshot](t)(c.Look(ctx))
	if after.Members[m.Name].PID != before.Members[m.Name].PID {
		t.Errorf("runs as %+v, was %+v", after, before)
	}
}

func TestASingleStepIsRefusedInALargerClusterBeforeTheBodyIsRead(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 2 })
	ctx := within(t)
	before := still(t, c)

	// A length is promised and nothing sent: who waited for it would not answer.
	s := must[*Sending](t)(c.begin(ctx, c.Members[1], inlinePath, "Content-Length: 1073741824\r\n"))
	a := must[Answer](t)(s.Answer())
	check(t, s.Cut())

	refused(t, a, http.StatusConflict, "2 members", "theseus system upgrade FILE", "/api/v3/system/upgrade/stage")
	unchanged(t, c, before)
}
