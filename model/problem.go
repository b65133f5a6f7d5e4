package model

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what went wrong in the terms a caller can act on. The api maps each
// kind to one HTTP status, the CLI to one exit code.
type Kind string

const (
	Malformed    Kind = "malformed"    // 400: the request cannot be read
	Unauthorized Kind = "unauthorized" // 401: no login, or a bad one
	Forbidden    Kind = "forbidden"    // 403: logged in, not allowed
	NotFound     Kind = "not-found"    // 404
	Conflict     Kind = "conflict"     // 409: not in this state
	TooLarge     Kind = "too-large"    // 413: over a limit
	Refused      Kind = "refused"      // 422: read, and refused for what it says
	Unavailable  Kind = "unavailable"  // 503: not now: no leader, draining, starting
)

// Problem is an error for people: each message says what was being done, with
// what, why it went wrong and, where there is something to do, what to do. It
// is made where the rule lives and travels up unchanged.
type Problem struct {
	Kind     Kind
	Model    string   // the collection, such as "profiles"; may be empty
	Key      string   // the object in it; may be empty
	Messages []string // at least one
}

// Problemf makes a Problem of one message; %w in format works as in fmt.Errorf
// as text, but the cause is not kept.
func Problemf(kind Kind, format string, args ...any) *Problem {
	return &Problem{Kind: kind, Messages: []string{fmt.Errorf(format, args...).Error()}}
}

// About names the object that the problem is about, and returns p.
func (p *Problem) About(model, key string) *Problem {
	p.Model, p.Key = model, key
	return p
}

func (p *Problem) Error() string { return strings.Join(p.Messages, "; ") }

// KindOf is the kind of the first Problem in err's chain, or "".
func KindOf(err error) Kind {
	var p *Problem
	if errors.As(err, &p) {
		return p.Kind
	}
	return ""
}

// Error is the body of every answer of 400 and above, in Digital Rebar's shape.
type Error struct {
	Model    string
	Key      string
	Type     string
	Messages []string
	Code     int
}

func (e *Error) Error() string { return strings.Join(e.Messages, "; ") }
