package main

import (
	"strings"
	"testing"
)

const passed = `{"Action":"pass","Package":"p","Test":"TestA"}
`

func TestWhatFailsTheRun(t *testing.T) {
	for _, row := range []struct{ name, events, list, want string }{
		{"all passed", passed, "", ""},
		{"a failed test", passed + `{"Action":"fail","Package":"p","Test":"TestB"}`, "", "p TestB failed"},
		{"a failed build", passed + `{"Action":"build-fail","ImportPath":"p"}`, "", "p failed"},
		{"a skip", passed + `{"Action":"skip","Package":"p","Test":"TestB"}`, "", "p TestB was skipped"},
		{"a skip on the list", passed + `{"Action":"skip","Package":"p","Test":"TestB"}`, "# why\np TestB needs a printer\n", ""},
		{"another skip than on the list", passed + `{"Action":"skip","Package":"p","Test":"TestB/x"}`, "p TestB needs a printer\n", "p TestB/x was skipped"},
		{"a skip without a reason", passed, "p TestB\n", "want package, test and reason"},
		{"a package without tests", passed + `{"Action":"skip","Package":"q"}`, "", ""},
		{"a test that never ended", passed + `{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN"}`, "", "p TestB did not end"},
		{"nothing at all", "", "", "no test passed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := run(strings.NewReader(row.events), []byte(row.list), t.Output())
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

func TestTheOutputOfAFailedTestIsShown(t *testing.T) {
	var out strings.Builder
	run(strings.NewReader(`{"Action":"output","Package":"p","Test":"TestB","Output":"it broke\n"}
{"Action":"fail","Package":"p","Test":"TestB"}`), nil, &out)
	if !strings.Contains(out.String(), "it broke\n") {
		t.Errorf("got %q", out.String())
	}
}
