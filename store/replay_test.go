package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"github.com/theseusd/theseus/model"
)

// copyAt is a copy of the records as they are, to be replayed to later.
func (s *ship) copyAt(name string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	if err := s.Copy(path); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// replayed brings the copy at path to the index that s is at, through a file of
// commands.
func (s *ship) replayed(path string) Replayed {
	s.t.Helper()
	c, err := OpenCopy(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	after, err := c.Index()
	if err != nil {
		s.t.Fatal(err)
	}
	since, err := s.CommandsSince(after, s.Applied(), 1<<20)
	if err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.t.TempDir(), "commands")
	if err := since.WriteFile(file); err != nil {
		s.t.Fatal(err)
	}
	read, err := ReadCommands(file)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := c.Replay(read)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// drilled are the drill's commands as the log of a ship holds them, chunks and
// what is Raft's own in between.
func drilled() (logs []*raft.Log) {
	for i, e := range Drill(model.Cluster{Version: drillOld, Level: Level}).entries {
		next := func() uint64 { return uint64(len(logs) + 1) }
		switch i % 7 {
		case 2:
			logs = append(logs, &raft.Log{Index: next(), Term: 1, Type: raft.LogNoop})
		case 4:
			logs = append(logs, configAt(next(), "n1"))
		case 5:
			logs = append(logs, newCargo(10, uint64(i)).logs(next())...)
		}
		logs = append(logs, &raft.Log{Index: next(), Term: 1, Type: raft.LogCommand, Data: e.Data})
	}
	return logs
}

func TestEveryTypeOfCommandReplaysToTheSameRecordsFromAnyPoint(t *testing.T) {
	s := newShip(t)
	copies := []string{s.copyAt("0")}
	for i, l := range drilled() {
		s.commit(l)
		if i%9 == 0 {
			copies = append(copies, s.copyAt(fmt.Sprint(i)))
		}
	}
	want := s.digest()
	for i, path := range copies {
		if r := s.replayed(path); r.Digest != want || r.Count == 0 && i == 0 {
			t.Errorf("copy %d: %d commands make %s, not %s", i, r.Count, r.Digest, want)
		}
	}
}

func TestAnyCommandsReplayToTheSameRecordsFromAnyPoint(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newShip(t)
		life := Drill(model.Cluster{Version: drillOld, Level: Level}).entries
		n := rapid.IntRange(1, 40).Draw(rt, "commands")
		from := rapid.IntRange(0, n).Draw(rt, "copy after")
		path := s.copyAt("copy")
		for i := range n {
			if i == from {
				path = s.copyAt("copy")
			}
			// Out of their order, and some twice: most are answered with a conflict.
			e := rapid.SampledFrom(life).Draw(rt, "command")
			command, err := decodeCommand(e.Data)
			if err != nil {
				rt.Fatal(err)
			}
			if rapid.Bool().Draw(rt, "afresh") {
				command.ID = newID()
			}
			s.commit(commandAt(uint64(i+1), command))
		}
		if r := s.replayed(path); r.Digest != s.digest() {
			rt.Errorf("%d commands make other records", r.Count)
		}
		s.close()
		s.Store = nil
	})
}

func TestSamplesAreToldApartFromWhatWasInTheLog(t *testing.T) {
	s := newShip(t)
	s.accepted(commandAt(1, profile("a")))
	start := s.copyAt("start")
	s.accepted(commandAt(2, profile("b")))
	since, err := s.CommandsSince(1, 2, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	c, err := OpenCopy(start)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := c.Replay(since.Sampled(2, Samples(model.Cluster{Version: drillOld, Level: Level})))
	if err != nil || r.Count != 1 || r.Digest != s.digest() || r.Tried == r.Digest {
		t.Errorf("replayed %+v, %v; the records are %s", r, err, s.digest())
	}
}

func TestACommandThatCannotBeAppliedIsNamedWithItsIndex(t *testing.T) {
	for want, data := range map[string][]byte{
		"command later.op at index 7":            Command{Op: "later.op", Body: []byte("{}")}.Encode(),
		"command cluster.probe at index 7: read": []byte(`{"op":"cluster.probe","id":"i","at":"","body":{},"later":1}`),
		"a command at index 7":                   []byte(`{`),
	} {
		_, err := newCopy(t).Replay(&Commands{entries: []replayEntry{{Index: 7, Data: data}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestWhatCannotBeReplayedSaysWhy(t *testing.T) {
	s := newShip(t)
	for i := range uint64(5) {
		s.accepted(commandAt(i+1, profile(fmt.Sprint(i))))
	}
	if _, err := s.CommandsSince(0, 5, 100); !errors.Is(err, ErrTooMuch) {
		t.Errorf("more bytes than asked for: %v", err)
	}
	if err := s.Log().DeleteRange(1, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CommandsSince(2, 5, 1<<20); !errors.Is(err, ErrCompacted) {
		t.Errorf("the log begins later: %v", err)
	}
	if c, err := s.CommandsSince(3, 5, 1<<20); err != nil || c.Count() != 2 {
		t.Errorf("the log begins there: %+v, %v", c, err)
	}
	if _, err := newCopy(t).Replay(&Commands{After: 3}); err == nil || !strings.Contains(err.Error(), "the copy is at 0") {
		t.Errorf("commands that follow another copy: %v", err)
	}
}

func TestAFileOfCommandsIsReadStrictly(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "another version": `{"v":2,"after":1}`, "unknown field": `{"v":1,"after":1,"later":1}`,
		"cut": `{"v":1,"after":1}{"index":2,"da`, "no base64": `{"v":1,"after":1}{"index":2,"data":"?"}`,
	} {
		path := filepath.Join(t.TempDir(), "commands")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := ReadCommands(path); err == nil {
			t.Errorf("%s: read as %+v", name, c)
		}
	}
}
