package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The README marks what is pasted here with a comment before the block of code.
const curlMark = "<!-- curl session: run by the tests as it stands -->\n```sh\n"

func TestTheCurlSessionOfTheREADMEWorksWhenPasted(t *testing.T) {
	t.Parallel()
	raw := must[[]byte](t)(os.ReadFile(filepath.Join(shop.Root(), "README.md")))
	_, rest, marked := strings.Cut(string(raw), curlMark)
	session, _, closed := strings.Cut(rest, "```\n")
	if !marked || !closed {
		t.Fatalf("README.md has no block after %q", curlMark)
	}
	c := newCluster(t, func(p *Plan) { p.APIPort = 8092 }) // the default that the README names
	m := c.Members[0]
	dir := t.TempDir()
	check(t, os.Symlink(archive(t, v110), filepath.Join(dir, "theseus-1.1.0.zip")))

	cmd := exec.CommandContext(within(t), "bash", "-euo", "pipefail")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(session)
	cmd.Env = append(os.Environ(), "DATA="+m.Data())
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	check(t, err)

	a := must[Answer](t)(c.Do(within(t), m, get(statusPath)))
	if a.Status != 404 {
		t.Errorf("the session ends with unstaging, but there still is %v", unexpected(a))
	}
	for _, r := range must[Snapshot](t)(c.Look(within(t))).Members {
		if r.Version != "1.1.0" {
			t.Errorf("a member runs %s after the session", r.Version)
		}
	}
}
