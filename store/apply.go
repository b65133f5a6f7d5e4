package store

import (
	"errors"

	bolt "go.etcd.io/bbolt"
)

// Entry is one committed entry of Raft's log: a command or chunk in Data, or a
// configuration of Raft as it encodes it, in Config.
type Entry struct {
	Index, Term uint64
	Data        []byte
	Config      []byte
}

// codeStopped answers what comes after an entry that could not be applied.
const codeStopped = "stopped"

// Apply applies entries in order, all in one transaction unless one of them is a
// mark (OpStateDigest), and answers each.
// What was applied before is skipped and answered with its index alone. At an
// entry that cannot be applied the store stops for good: see Fault. Called by
// Raft's FSM only, from one goroutine.
func (s *Store) Apply(entries []Entry) []Answer {
	answers := make([]Answer, len(entries))
	for i, e := range entries {
		answers[i].Index = e.Index
	}
	skip := s.applied(entries)
	if skip == len(entries) {
		return answers
	}
	rest, out := entries[skip:], answers[skip:]
	if s.Fault() != nil {
		refuse(out)
		return answers
	}
	for len(rest) > 0 {
		n, mark := upToMark(rest)
		if done, err := s.applyAll(rest[:n], out[:n]); err != nil {
			s.stopAt(rest, out, done, err)
			return answers
		}
		if mark {
			s.takeDigest(rest[n-1].Index)
		}
		rest, out = rest[n:], out[n:]
	}
	return answers
}

// applied counts the entries that were applied before.
func (s *Store) applied(entries []Entry) int {
	at := s.progress.position().index
	for i, e := range entries {
		if e.Index > at {
			return i
		}
	}
	return len(entries)
}

func refuse(answers []Answer) {
	for i := range answers {
		answers[i].Code = codeStopped
	}
}

// applyAll applies all entries or none; done says how many could be.
func (s *Store) applyAll(entries []Entry, out []Answer) (done int, err error) {
	if len(entries) == 0 {
		return 0, nil
	}
	end := position{index: entries[len(entries)-1].Index, term: entries[len(entries)-1].Term}
	records := changesRecords(entries)
	if records {
		err = s.vault.update(func(tx *bolt.Tx) error {
			if done, err = s.applyIn(tx, entries, out); err != nil {
				return err
			}
			done = 0 // of a commit that fails nothing is left
			return putPosition(tx, end)
		})
	} else {
		// Chunks change no record, so that their index can wait for the next
		// command or snapshot: applied again they change nothing again.
		done, err = checkChunks(entries)
	}
	if err == nil {
		s.progress.move(end, records)
	}
	return done, err
}

func changesRecords(entries []Entry) bool {
	for _, e := range entries {
		if e.Config != nil || !IsChunk(e.Data) {
			return true
		}
	}
	return false
}

func checkChunks(entries []Entry) (done int, err error) {
	for i, e := range entries {
		if _, err := properChunk(e.Data); err != nil {
			return i, err
		}
	}
	return len(entries), nil
}

func (s *Store) applyIn(tx *bolt.Tx, entries []Entry, out []Answer) (done int, err error) {
	for i, e := range entries {
		if out[i], err = s.applyOne(tx, e); err != nil {
			return i, err
		}
	}
	return len(entries), nil
}

func (s *Store) applyOne(tx *bolt.Tx, e Entry) (Answer, error) {
	if e.Config != nil {
		return Answer{Index: e.Index}, putConfiguration(tx, e.Index, e.Config)
	}
	if IsChunk(e.Data) {
		if _, err := properChunk(e.Data); err != nil {
			return Answer{}, err
		}
	}
	return apply(tx, s.table, e.Index, e.Data)
}

// stopAt applies what came before the entry that could not be applied, and
// refuses the rest.
func (s *Store) stopAt(entries []Entry, out []Answer, done int, cause error) {
	if _, err := s.applyAll(entries[:done], out[:done]); err != nil {
		cause, done = errors.Join(cause, err), 0
	}
	for i := range out[done:] {
		out[done+i] = Answer{Index: entries[done+i].Index, Code: codeStopped}
	}
	s.stop(&StoppedError{Index: entries[done].Index, Reason: cause.Error(), disk: s.applicable(entries[done:])})
}
