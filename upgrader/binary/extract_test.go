package binary

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("it was read")
	return 0, errors.New("unreadable")
}

func TestExtractKeepsWhatIsThereAndRight(t *testing.T) {
	p := newPlace(t, nobody)
	o := &Own{Path: p.put(t, "theseusd", "good 1", bothCaps)}
	chmod(t, o.Path, 0o750)
	setcap(t, bothCaps, o.Path)
	want := image(t, p.put(t, "other", "good 2", ""))
	next, err := o.Extract(context.Background(), bytes.NewReader(variantBytes("good 2")), want)
	if err != nil {
		t.Fatal(err)
	}
	if next != o.Next(want) || image(t, next) != want {
		t.Errorf("extracted to %s", next)
	}
	if err := o.compareLooks(next); err != nil {
		t.Error(err)
	}
	if _, err := o.Extract(context.Background(), unreadable{t}, want); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(next, []byte("spoilt"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Extract(context.Background(), bytes.NewReader(variantBytes("good 2")), want); err != nil {
		t.Fatal(err)
	}
	if image(t, next) != want || getcap(t, next) != bothCaps {
		t.Errorf("what was spoilt is %s, capabilities %q", image(t, next), getcap(t, next))
	}
}

func TestExtractLeavesNothingOfWrongBytes(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	o := &Own{Path: p.put(t, "theseusd", "good 1", "")}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, ctx := range []context.Context{context.Background(), ended} {
		_, err := o.Extract(ctx, strings.NewReader("other bytes"), imagePrefix+strings.Repeat("0", 64))
		if err == nil {
			t.Error("extracted")
		}
		if diff := cmp.Diff([]string{"theseusd"}, listing(t, p.bin)); diff != "" {
			t.Error(diff)
		}
	}
}
