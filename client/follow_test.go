package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// member answers status reads from two lists, one for consistent reads; "drop"
// breaks the connection off, a number is a refusal, else it is the param status
// with an index before it. The last of a list stays.
type member struct {
	mu                sync.Mutex
	local, consistent []string
	nodes             string
	asked             int
}

func (m *member) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := m.next(r.URL.Query().Get("consistent") == "true")
	var code, index int
	var status string
	if answer == "drop" {
		breakOff()
	}
	if n, _ := fmt.Sscanf(answer, "%d %s", &index, &status); n == 2 {
		w.Header().Set("X-Theseus-Index", fmt.Sprint(index))
		fmt.Fprintf(w, `{"Params":{"status":%q,"nodes":[%s]}}`, status, m.nodes)
		return
	}
	fmt.Sscanf(answer, "%d", &code)
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"Type":"x","Messages":["as recorded"],"Code":%d}`, code)
}

func (m *member) next(consistent bool) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	list := &m.local
	if consistent {
		list = &m.consistent
	}
	answer := (*list)[0]
	if len(*list) > 1 {
		*list = (*list)[1:]
	}
	return answer
}

// followed follows through c and answers every status that was seen.
func followed(t *testing.T, c *Client) (seen []string, lost int, err error) {
	t.Helper()
	_, err = Follower{Client: c, Every: time.Millisecond, Silence: time.Minute,
		See: func(u Upgrade) { seen = append(seen, fmt.Sprint(u.Index, " ", u.Status)) }, Lost: func(error) { lost++ },
	}.Run(t.Context())
	return seen, lost, err
}

func TestAnEndIsBelievedOnlyWhenItIsReadConsistently(t *testing.T) {
	c := serve(t, (&member{
		local:      []string{"1 failed", "500", "503", "2 working", "3 working", "2 working", "9 finished"},
		consistent: []string{"2 working", "503", "9 finished"},
	}).ServeHTTP)
	seen, lost, err := followed(t, c)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"2 working", "2 working", "3 working", "9 finished"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if lost != 3 {
		t.Errorf("nobody answered %d times, want 3", lost)
	}
}

func TestAnUpgradeThatIsGoneEndsTheFollowing(t *testing.T) {
	m := &member{local: []string{"1 working", "404"}, consistent: []string{"2 working", "404"}}
	if seen, _, err := followed(t, serve(t, m.ServeHTTP)); !errors.Is(err, ErrCleared) || len(seen) != 2 {
		t.Errorf("%q, %v", seen, err)
	}
	none := &member{local: []string{"404"}, consistent: []string{"404"}}
	var refused *model.Error
	if _, _, err := followed(t, serve(t, none.ServeHTTP)); !errors.As(err, &refused) || refused.Code != 404 {
		t.Errorf("%v", err)
	}
}

func TestARefusalEndsTheFollowing(t *testing.T) {
	m := &member{local: []string{"1 working", "401"}}
	var refused *model.Error
	if _, lost, err := followed(t, serve(t, m.ServeHTTP)); !errors.As(err, &refused) || refused.Code != 401 || lost != 0 {
		t.Errorf("lost %d, %v", lost, err)
	}
}

func TestTheOthersAreAskedWhenAMemberIsGone(t *testing.T) {
	other := &member{local: []string{"5 working", "6 finished"}, consistent: []string{"6 finished"}}
	second := serve(t, other.ServeHTTP)
	first := &member{local: []string{"4 working", "drop"}, nodes: fmt.Sprintf(`{"api":"nonsense"},{"api":%q}`, second.Endpoint())}
	seen, _, err := followed(t, serve(t, first.ServeHTTP))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"4 working", "5 working", "6 finished"}, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSilenceEndsTheFollowingInTheEnd(t *testing.T) {
	c := serve(t, (&member{local: []string{"drop"}}).ServeHTTP)
	_, err := Follower{Client: c, Every: time.Millisecond, Silence: 20 * time.Millisecond,
		See: func(Upgrade) { t.Error("seen") }, Lost: func(error) {}}.Run(t.Context())
	var silent *Unreachable
	if !errors.As(err, &silent) {
		t.Errorf("%v", err)
	}
}

func TestRunOptionsSayWhatWasSaidAndNothingElse(t *testing.T) {
	var got []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, string(body))
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, `{"Params":{"status":"working"}}`)
	})
	none, hour := time.Duration(0), time.Hour
	for _, o := range []RunOptions{{}, {Probation: &none}, {Deadline: &hour, Probation: &none}} {
		if u, err := c.Start(t.Context(), o); err != nil || u.Status != "working" {
			t.Errorf("%+v, %v", u, err)
		}
	}
	want := []string{"", `{"probation":"0s"}`, `{"deadline":"1h0m0s","probation":"0s"}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A roll-back that was asked of an upgrade which is over has not begun at once.
func TestAnEndIsNoneWhileGoingBackIsAsked(t *testing.T) {
	for _, one := range []struct {
		status, back string
		over         bool
	}{
		{"finished", "", true}, {"failed", "", true}, {"failed", "done", true}, {"failed", "failed", true},
		{"finished", "asked", false}, {"failed", "asked", false}, {"working", "", false},
	} {
		if got := (Upgrade{Status: one.status, RollBack: one.back}).Over(); got != one.over {
			t.Errorf("%s, roll-back %q: over is %t", one.status, one.back, got)
		}
	}
}
