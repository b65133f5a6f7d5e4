package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/internal/durable"
)

// A file of commands is what one version has applied and another is to apply to
// a copy of the records: JSON, a replayHead and then a replayEntry for each. See
// docs/protocol.md.
const replayVersion = 1

type replayHead struct {
	V     int    `json:"v"`
	After uint64 `json:"after"` // the index of the copy that the commands follow
	Each  bool   `json:"each,omitempty"`
}

type replayEntry struct {
	Index  uint64 `json:"index"`
	Data   []byte `json:"data"` // as in the log
	Sample bool   `json:"sample,omitempty"`
}

// Why the log cannot be replayed from an index.
var (
	ErrCompacted = errors.New("the log does not reach back that far")
	ErrTooMuch   = errors.New("the log since then is too long")
)

// Commands is a list of commands in the order of their indexes, for a replay.
type Commands struct {
	After   uint64
	each    bool // digest the records after each of them: they are few, and so are the records
	entries []replayEntry
}

// Count is how many commands there are.
func (c *Commands) Count() int { return len(c.entries) }

// CommandsSince reads the commands in the log after an index, up to another, of
// limit bytes at most. Chunks and what is Raft's own change no record and are
// left out.
func (s *Store) CommandsSince(after, through uint64, limit int) (*Commands, error) {
	c := &Commands{After: after}
	for i, size := after+1, 0; i <= through; i++ {
		var l raft.Log
		stub, err := s.log.entry(i, &l)
		if errors.Is(err, raft.ErrLogNotFound) {
			return nil, fmt.Errorf("commands after %d: %w", after, ErrCompacted)
		}
		if err != nil {
			return nil, fmt.Errorf("commands after %d: %w", after, err)
		}
		if stub != nil || l.Type != raft.LogCommand || IsChunk(l.Data) {
			continue
		}
		if size += len(l.Data); size > limit {
			return nil, fmt.Errorf("commands after %d: more than %d bytes: %w", after, limit, ErrTooMuch)
		}
		c.entries = append(c.entries, replayEntry{Index: i, Data: l.Data})
	}
	return c, nil
}

// Name is the type of command number i, from 0, and its index.
func (c *Commands) Name(i int) string {
	return fmt.Sprintf("%s at index %d", nameOf(c.entries[i].Data), c.entries[i].Index)
}

// Sampled is c and then, as if they had come after index through, the samples.
func (c *Commands) Sampled(through uint64, samples []Command) *Commands {
	all := &Commands{After: c.After, entries: append([]replayEntry{}, c.entries...)}
	for i, s := range samples {
		all.entries = append(all.entries, replayEntry{Index: through + 1 + uint64(i), Data: s.Encode(), Sample: true})
	}
	return all
}

// WriteFile writes the file that ReadCommands reads.
func (c *Commands) WriteFile(path string) error {
	err := durable.Create(path, 0o600, func(to io.Writer) error {
		w := bufio.NewWriter(to)
		e := json.NewEncoder(w)
		if err := e.Encode(replayHead{V: replayVersion, After: c.After, Each: c.each}); err != nil {
			return err
		}
		for _, one := range c.entries {
			if err := e.Encode(one); err != nil {
				return err
			}
		}
		return w.Flush()
	})
	if err != nil {
		return fmt.Errorf("write commands to %s: %w", path, err)
	}
	return nil
}

// ReadCommands reads what WriteFile wrote, perhaps of another version.
func ReadCommands(path string) (*Commands, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read commands: %w", err)
	}
	defer f.Close()
	c, err := readCommands(bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("read commands from %s: %w", path, err)
	}
	return c, nil
}

func readCommands(r io.Reader) (*Commands, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	var head replayHead
	if err := d.Decode(&head); err != nil {
		return nil, err
	}
	if head.V != replayVersion {
		return nil, fmt.Errorf("they have version %d, this program reads version %d", head.V, replayVersion)
	}
	c := &Commands{After: head.After, each: head.Each}
	for {
		var one replayEntry
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		c.entries = append(c.entries, one)
	}
}

// Replayed is what a replay came to.
type Replayed struct {
	Count  int      // commands, the samples not among them
	Digest string   // of the records after them
	Tried  string   // and after the samples
	Steps  []string // the beginnings of the digests after each command, if asked for
}

// replayBatch is how many commands go into one transaction.
const replayBatch = 256

// Replay applies commands to the copy, for good. The error is the first that
// could not be applied; what they are answered goes into the digest.
func (c *Copy) Replay(commands *Commands) (r Replayed, err error) {
	if at, err := c.Index(); err != nil || at != commands.After {
		return r, errors.Join(err, fmt.Errorf("the commands follow index %d, and the copy is at %d", commands.After, at))
	}
	known, samples := commands.split()
	if r.Steps, err = c.applyAll(known, commands.each); err != nil {
		return r, err
	}
	r.Count = len(known)
	if r.Digest, err = c.Digest(); err != nil {
		return r, err
	}
	if _, err := c.applyAll(samples, false); err != nil {
		return r, err
	}
	r.Tried, err = c.Digest()
	return r, err
}

func (c *Commands) split() (known, samples []replayEntry) {
	for i, e := range c.entries {
		if e.Sample {
			return c.entries[:i], c.entries[i:]
		}
	}
	return c.entries, nil
}

// stepSize is how much of a digest tells one from another in a list of them.
const stepSize = 12

func (c *Copy) applyAll(entries []replayEntry, each bool) (steps []string, err error) {
	table, batch := ops(), replayBatch
	if each {
		batch = 1
	}
	for len(entries) > 0 {
		n := min(len(entries), batch)
		if err := c.applySome(table, entries[:n]); err != nil {
			return nil, err
		}
		if entries = entries[n:]; !each {
			continue
		}
		digest, err := c.Digest()
		if err != nil {
			return nil, err
		}
		steps = append(steps, digest[:stepSize])
	}
	return steps, nil
}

func (c *Copy) applySome(table map[Op]op, entries []replayEntry) error {
	return c.db.Update(func(tx *bolt.Tx) error {
		for _, e := range entries {
			if _, err := apply(tx, table, e.Index, e.Data); err != nil {
				return fmt.Errorf("%s at index %d: %w", nameOf(e.Data), e.Index, err)
			}
		}
		return nil
	})
}

// nameOf is the type of a command, even of one that cannot be read strictly.
func nameOf(data []byte) string {
	var c struct {
		Op Op `json:"op"`
	}
	if json.Unmarshal(data, &c) != nil || c.Op == "" {
		return "a command"
	}
	return "command " + string(c.Op)
}
