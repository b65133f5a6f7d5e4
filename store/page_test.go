package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

func TestAPageIsReadFromWhereItBegins(t *testing.T) {
	s := newShip(t)
	names := []string{"", "b", "a", "c", strings.Repeat("x", keyLimit)}
	for i, name := range names[1:] {
		s.accepted(commandAt(uint64(i+1), profile(name)))
	}
	for _, row := range []struct {
		after string
		limit int
		want  string
	}{
		{"", 2, "a b"}, {"", 9, "a b c x"}, {"a", 1, "b"}, {"ab", 2, "b c"}, {"c", 5, "x"}, {"x", 5, "x"},
		{names[4], 5, ""}, {names[4] + "x", 5, ""}, {"", 0, ""},
	} {
		err := s.View(func(v *View) error {
			page, err := v.ProfilesAfter(row.after, row.limit)
			var got []string
			for _, p := range page {
				got = append(got, p.Name[:1])
			}
			if text := strings.Join(got, " "); text != row.want || page == nil {
				t.Errorf("%d after %.9q: %q, want %q", row.limit, row.after, text, row.want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// What Misfit says of changes is what becomes of them.
func TestAMisfitIsWhatTheCommandIsRefusedFor(t *testing.T) {
	s := newShip(t)
	s.accepted(commandAt(1, New(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "p", Params: map[string]any{"k": json.Number("1")}}})))
	s.accepted(commandAt(2, profile("bare")))
	raw := func(text string) json.RawMessage {
		if text == "" {
			return nil
		}
		return json.RawMessage(text)
	}
	change := func(p, k, was, now string) ParamChange {
		return ParamChange{Profile: p, Key: k, Was: raw(was), Now: raw(now)}
	}
	same := change("p", "k", "1", "1")
	for i, row := range []struct {
		changes []ParamChange
		first   int
		err     error
	}{
		{[]ParamChange{same}, 0, nil},
		{[]ParamChange{change("bare", "n", "", "1"), change("bare", "n", "1", "")}, 0, nil},
		{[]ParamChange{same, change("none", "k", "", "1"), change("p", "k", "7", "8")}, 1, ErrNotFound},
		{[]ParamChange{same, same, change("p", "k", "7", "8")}, 2, ErrConflict},
		{[]ParamChange{change("p", "k", "1", "2"), same, change("p", "k", "1", "")}, 1, ErrConflict},
		{[]ParamChange{change("p", "k", "", "2")}, 0, ErrConflict},
		{[]ParamChange{same, change("p", "k", "1.0", "2")}, 1, ErrConflict},
		{[]ParamChange{change("p", "k", "null", "")}, 0, ErrConflict},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := ParamsChange{Changes: row.changes}
			err := s.View(func(v *View) error {
				first, err := v.Misfit(c)
				if first != row.first || !errors.Is(err, row.err) {
					t.Errorf("it is %d: %v, want %d: %v", first, err, row.first, row.err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if a := s.commit(commandAt(uint64(3+i), New(OpParamsChange, c)))[0]; !errors.Is(a.Err(), row.err) {
				t.Errorf("the command was answered %v", a.Err())
			}
		})
	}
}
