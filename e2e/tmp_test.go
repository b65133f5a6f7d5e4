package e2e

import ("testing";"time";"net/http";"context";"os/exec";"github.com/theseusd/theseus/model")

func TestTmp(t *testing.T) {
	c := newCluster(t, nil)
	ctx := within(t)
	m := followers(t, c)[0]
	check(t, c.Staged(ctx, m, archive(t, v110)))
	check(t, c.Run(ctx, m, `{"probation":"3s"}`))
	check(t, Until(ctx, "a member to be on probation", func() (bool, error) { return c.anyAt(ctx, m, model.Probation) }))
	a, err := c.Unstage(ctx, m)
	answered(t, a, err, http.StatusAccepted)
	check(t, Until(ctx, "the upgrade to be cleared", func() (bool, error) {
		a, err := c.Do(ctx, m, get(statusPath))
		return a.Status == http.StatusNotFound, err
	}))
	x, cancel := context.WithTimeout(ctx, 6*time.Second); defer cancel()
	<-x.Done()
	for _, m := range c.Members { t.Log(m.Name, archives(t, m)); out,_ := exec.Command("ls","-la",m.Bin(), m.Data()).CombinedOutput(); t.Log(string(out)); p,_:=m.Daemon(); n,_ := p.CPU(); t.Log("cpu ticks", n); p.signal(3) }
	t.Fail()
}
