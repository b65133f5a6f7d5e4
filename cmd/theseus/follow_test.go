package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// cancelOn is a place to write that calls cancel once text was written to it.
type cancelOn struct {
	bytes.Buffer
	text   string
	cancel func()
}

func (c *cancelOn) Write(b []byte) (int, error) {
	n, err := c.Buffer.Write(b)
	if strings.Contains(c.String(), c.text) {
		c.cancel()
	}
	return n, err
}

func TestAnInterruptEndsTheFollowingAndSaysThatTheUpgradeGoesOn(t *testing.T) {
	r := record(t, `GET /system/upgrade/status 200 {"Params":{"status":"working","transcript":["one"]}}`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout := &cancelOn{text: "one", cancel: cancel}
	var stderr bytes.Buffer
	a := &app{stdout: stdout, stderr: &stderr, env: func(string) string { return "" }}
	if code := run(ctx, a, []string{"system", "upgrade", "status", "--follow", "-k", "-E", r.URL}); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	want := "Error: interrupted\n" +
		"  the upgrade does not depend on being followed; look again with: theseus system upgrade status --follow\n"
	if diff := cmp.Diff(want, stderr.String()); diff != "" {
		t.Errorf("stderr (-want +got):\n%s", diff)
	}
}

func TestALineIsToldOnceHoweverMuchOfTheTranscriptIsGone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all, told []string
		gone := 0
		for n := range rapid.IntRange(1, 20).Draw(t, "looks") {
			for range rapid.IntRange(0, 5).Draw(t, "new") {
				all = append(all, fmt.Sprint("line ", len(all), " of look ", n))
			}
			// What was told last stays, as the server keeps more than comes between two looks.
			gone = rapid.IntRange(gone, max(gone, len(told)-1)).Draw(t, "gone")
			told = append(told, unheard(told, all[gone:])...)
		}
		if diff := cmp.Diff(all, told); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestAnUploadIntoAPipeIsALineForEveryTenth(t *testing.T) {
	var got strings.Builder
	p := &progress{from: strings.NewReader(strings.Repeat("x", 30<<20)), size: 30 << 20, to: &got, then: "waiting"}
	for b := make([]byte, 1<<19); ; {
		if _, err := p.Read(b); err != nil {
			break
		}
	}
	p.end()
	want := `sent  10 % of 30.0 MiB
sent  20 % of 30.0 MiB
sent  30 % of 30.0 MiB
sent  40 % of 30.0 MiB
sent  50 % of 30.0 MiB
sent  60 % of 30.0 MiB
sent  70 % of 30.0 MiB
sent  80 % of 30.0 MiB
sent  90 % of 30.0 MiB
sent 100 % of 30.0 MiB
sent 30.0 MiB; waiting
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
