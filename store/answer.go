package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// What a command can be answered with. An answer is the same on every member;
// the sentences for people are made by whoever proposed.
var (
	ErrConflict = errors.New("conflict: the record is not in the state the command asks for")
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("already exists")
	ErrInvalid  = errors.New("invalid: the name is empty or too long")
	ErrHeld     = errors.New("held: a migration is at work, and nobody else writes until it is done")
	ErrStale    = errors.New("stale: another runner has taken the job, or it is over")
	ErrStopped  = errors.New("this member has stopped at an entry that it cannot read")
)

// Answer is what became of a command.
type Answer struct {
	Index uint64 `json:"index"`
	Code  string `json:"code,omitempty"` // "" is yes
}

// Err is the sentinel for a's code, or nil.
func (a Answer) Err() error {
	if a.Code == "" {
		return nil
	}
	for code, err := range codes() {
		if code == a.Code {
			return err
		}
	}
	return fmt.Errorf("command answered %q", a.Code)
}

func codes() map[string]error {
	return map[string]error{"conflict": ErrConflict, "not-found": ErrNotFound, "exists": ErrExists, "invalid": ErrInvalid, "held": ErrHeld, "stale": ErrStale, "stopped": ErrStopped}
}

// code is the word for an answer; ok is false for anything else: a fault.
func code(err error) (word string, ok bool) {
	for c, sentinel := range codes() {
		if errors.Is(err, sentinel) {
			return c, true
		}
	}
	return "", err == nil
}

// answersKept bounds how many request ids are remembered. A proposer gives up
// after ten seconds; this many commands take far longer than that.
const answersKept = 4096

// answered looks up a request that was applied before.
func answered(tx *bolt.Tx, id string) (Answer, bool) {
	raw := tx.Bucket(bucketAnswers).Get([]byte(id))
	if len(raw) < 8 {
		return Answer{}, false
	}
	return Answer{Index: binary.BigEndian.Uint64(raw), Code: string(raw[8:])}, true
}

// remember keeps an answer, and forgets the oldest when there are enough.
func remember(tx *bolt.Tx, id string, a Answer) error {
	answers, order := tx.Bucket(bucketAnswers), tx.Bucket(bucketOrder)
	n, err := order.NextSequence()
	if err != nil {
		return err
	}
	if n > answersKept {
		old := sequence(n - answersKept)
		if err := answers.Delete(order.Get(old)); err != nil {
			return err
		}
		if err := order.Delete(old); err != nil {
			return err
		}
	}
	if err := order.Put(sequence(n), []byte(id)); err != nil {
		return err
	}
	return answers.Put([]byte(id), append(sequence(a.Index), a.Code...))
}

func sequence(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
