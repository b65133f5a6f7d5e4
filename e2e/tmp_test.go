package e2e
import ("testing";"time";"context";"fmt")
func TestTmp(t *testing.T){
 c := newCluster(t, nil)
 for _, m := range c.Members {
  w := &writer{profile: "tmp-"+m.Name}
  check(t, c.CreateProfile(within(t), m, w.profile))
  cl := &Client{Name:"w", Addr:m.API, CA:c.CA, Next:w.next(c.Auth), Accept:w.accept}
  ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
  cl.Run(ctx); cancel()
  ta := cl.Tally()
  fmt.Printf("%s %.0f/s avg %v max %v failed %d\n", m.Name, ta.Rate(), time.Duration(float64(time.Second)/ta.Rate()), ta.Slowest, ta.Failed)
 }
 l := must[*Load](t)(c.StartLoad(within(t), 16*time.Millisecond))
 time.Sleep(5*time.Second)
 for _, ta := range l.Stop() { fmt.Printf("%-28s %.0f/s gap %v\n", ta.Client, ta.Rate(), ta.Gap) }
 for _, m := range c.Members { p,_ := m.Daemon(); cpu,_ := p.CPU(); fmt.Println(m.Name, "cpu", cpu*10, "ms") }
}
