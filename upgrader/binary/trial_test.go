package binary

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestATrialRunAnswersWithTheReport(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	path := p.put(t, "next", "good 2", "")
	r, err := SelfCheck(context.Background(), path, nil, time.Minute)
	if err != nil || r.Version != "good 2" || r.Image != image(t, path) || r.Platform != "linux/test" || r.Took <= 0 {
		t.Errorf("the report is %+v, %v", r, err)
	}
}

func TestATrialRunThatGoesWrongSaysHow(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	for variant, want := range map[string]string{
		"exit":   "exit status 1: daemon: this build cannot start",
		"killed": "signal: killed",
		"hang":   "no answer within",
		"chatty": "not a report of version 1 to 3",
		"flood":  "printed more than 65536 bytes",
		"future": "it has version 4, this program reads version 3",
		"mute":   "does not say version",
	} {
		limit := time.Minute
		if variant == "hang" {
			limit = 300 * time.Millisecond
		}
		r, err := SelfCheck(context.Background(), p.put(t, "next", variant, ""), nil, limit)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: report %+v, error %v", variant, r, err)
		}
	}
	if _, err := SelfCheck(context.Background(), p.bin+"/none", nil, time.Minute); err == nil {
		t.Error("ran what is not there")
	}
}

func TestATrialRunGetsNothingThatBelongsToTheDaemonAlone(t *testing.T) {
	for name, value := range map[string]string{
		"NOTIFY_SOCKET": "/run/x", "WATCHDOG_PID": "1", "INVOCATION_ID": "1", inheritVariable: "{}",
		"THESEUS_ADMIN_PASSWORD": "secret", "GOTRACEBACK": "none", "AWS_SECRET": "secret",
	} {
		t.Setenv(name, value)
	}
	t.Setenv("THESEUS_LOG_LEVEL", "debug")
	p := newPlace(t, os.Geteuid())
	r, err := SelfCheck(context.Background(), p.put(t, "next", "environment", ""), nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	got := "\n" + strings.Join(r.Findings, "\n")
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_PID", "INVOCATION_ID", inheritVariable, "THESEUS_ADMIN_PASSWORD", "GOTRACEBACK", "AWS_SECRET"} {
		if strings.Contains(got, "\n"+name+"=") {
			t.Errorf("it got %s", name)
		}
	}
	if !strings.Contains(got, "\nTHESEUS_LOG_LEVEL=debug") {
		t.Error("it did not get its settings")
	}
}

func TestATrialRunReadsTheReportOfAnEarlierVersionAndSaysThatItCannotReplay(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	for variant, replays := range map[string]bool{"ancient": false, "good 2": true} {
		r, err := SelfCheck(context.Background(), p.put(t, "next", variant, ""), nil, time.Minute)
		if err != nil || r.Version != variant || r.Replays() != replays {
			t.Errorf("%s: report %+v, %v", variant, r, err)
		}
	}
}

func TestACallerOfTheFirstVersionGetsWhatItReads(t *testing.T) {
	full := Report{V: ReportVersion, Version: "1", Image: "i", Platform: "p", Digest: "d", Findings: []string{"f"},
		Replayed: 3, Tried: "t", Steps: []string{"s"}, Capabilities: 5}
	for asked, want := range map[int]Report{
		0:                 {V: 1, Version: "1", Image: "i", Platform: "p", Digest: "d", Findings: []string{"f"}},
		1:                 {V: 1, Version: "1", Image: "i", Platform: "p", Digest: "d", Findings: []string{"f"}},
		ReportVersion:     full,
		ReportVersion + 1: full,
	} {
		if diff := cmp.Diff(want, full.As(asked)); diff != "" {
			t.Errorf("asked for %d: %s", asked, diff)
		}
	}
	raw, err := json.Marshal(full.As(1))
	if err != nil || string(raw) != `{"v":1,"version":"1","image":"i","platform":"p","digest":"d","findings":["f"]}` {
		t.Errorf("the first version is %s, %v", raw, err)
	}
}
