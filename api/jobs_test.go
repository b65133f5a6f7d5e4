package api

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

func (m *member) jobOf(t *testing.T, method, path, body string, status int) (j model.Job) {
	t.Helper()
	if err := json.Unmarshal(m.want(t, method, path, body, status, "").Body.Bytes(), &j); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestAJobThatWaitsForAPersonIsTriggeredAsInDockerTrustedRegistry(t *testing.T) {
	m := readyMember(t)
	m.runJobs(t)
	id := m.jobOf(t, "POST", "/api/v3/jobs", `{"action":"work"}`, 201).ID
	m.want(t, "POST", "/api/v3/jobs", `{"action":"work"}`, 409, "")
	for range 3 {
		m.work <- errors.New("broken")
	}
	eventually(t, "the job to fail", func() bool {
		return m.jobOf(t, "GET", "/api/v3/jobs/"+id, "", 200).State == model.JobFailed
	})

	token := newSecret()
	m.give(t, token)
	m.basic = "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+token))
	var made, shown registryJob
	if err := json.Unmarshal(m.want(t, "POST", "/api/v0/jobs", `{"action": "work"}`, 202, "").Body.Bytes(), &made); err != nil || made.ID != id {
		t.Errorf("triggered %+v: %v", made, err)
	}
	m.work <- nil
	eventually(t, "the job to be done", func() bool {
		var all struct{ Jobs []registryJob }
		if err := json.Unmarshal(m.want(t, "GET", "/api/v0/jobs", "", 200, "").Body.Bytes(), &all); err != nil || len(all.Jobs) != 1 {
			t.Fatalf("%+v: %v", all, err)
		}
		shown = all.Jobs[0]
		return shown.Status == "done"
	})
	if shown.Action != "work" || shown.RetriesTotal != 2 || shown.ScheduledAt == "" {
		t.Errorf("it is shown as %+v", shown)
	}
}

func TestATokenIsNoPasswordOfAnotherUser(t *testing.T) {
	m := readyMember(t)
	token := newSecret()
	m.give(t, token)
	for user, status := range map[string]int{"admin": 200, "eve": 401} {
		m.basic = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+token))
		if got := m.do("GET", "/api/v3/info", "").Code; got != status {
			t.Errorf("%s with the admin's token: %d, want %d", user, got, status)
		}
	}
}

func TestAJobsLogIsFollowedToItsEnd(t *testing.T) {
	m := readyMember(t)
	m.runJobs(t)
	s := newSite(t)
	s.serve(t, m.API)
	id := m.jobOf(t, "POST", "/api/v3/jobs", `{"action":"work"}`, 201).ID
	c := s.mustDial(t)
	if err := c.send(request("GET", "/api/v3/jobs/"+id+"/log?follow=true", m.basic, "\r\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(c)
	want := func(text string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Errorf("the log ended before %q: %v", text, lines.Err())
	}
	want("n1 begins")
	want("it began")
	m.work <- nil // only now: what came before was seen as it came
	want("n1: done")
	for lines.Scan() {
		if text := lines.Text(); text != "" && text != "0" && len(text) > 4 {
			t.Errorf("behind the end comes %q", text)
		}
	}
	if text := m.want(t, "GET", "/api/v3/jobs/"+id+"/log", "", 200, "").Body.String(); strings.Count(text, "\n") != 3 {
		t.Errorf("the whole log is %q", text)
	}
	m.want(t, "GET", "/api/v3/jobs/"+id+"/log?follow=perhaps", "", 400, "")
}

func TestAJobIsCanceledOnce(t *testing.T) {
	m := readyMember(t)
	m.runJobs(t)
	id := m.jobOf(t, "POST", "/api/v3/jobs", `{"action":"work"}`, 201).ID
	if j := m.jobOf(t, "DELETE", "/api/v3/jobs/"+id, "", 200); j.State != model.JobCanceled {
		t.Errorf("it is %+v", j)
	}
	m.want(t, "DELETE", "/api/v3/jobs/"+id, "", 409, "")
	for _, path := range []string{"/api/v3/jobs/nosuch", "/api/v3/jobs/nosuch/log"} {
		m.want(t, "GET", path, "", 404, "")
	}
	for body, status := range map[string]int{`{"action":"nosuch"}`: 422, `{}`: 400, `{"action":"work","x":1}`: 400} {
		m.want(t, "POST", "/api/v3/jobs", body, status, "")
	}
	if all := m.want(t, "GET", "/api/v3/jobs", "", 200, ""); all.Header().Get("X-DRP-LIST-TOTAL-COUNT") != "1" || strings.Contains(all.Body.String(), "log") {
		t.Errorf("the list is %s", fmt.Sprint(all.Header(), all.Body))
	}
}
