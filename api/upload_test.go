package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/upgrader"
)

const stagePath = "/api/v3/system/upgrade/stage"

var someDigest = strings.Repeat("ab", 32)

func TestAPartIsReadFromItsHeader(t *testing.T) {
	m := readyMember(t)
	for _, c := range []struct {
		query, span string
		want        upgrader.Upload
	}{
		{"", "", upgrader.Upload{Total: 5}},
		{"?sha256=" + someDigest, "", upgrader.Upload{Digest: someDigest, Total: 5}},
		{"?sha256=sha256:" + strings.ToUpper(someDigest), "bytes 10-14/20", upgrader.Upload{Digest: someDigest, Total: 20, Part: &upgrader.Part{From: 10, Until: 15}}},
		{"?sha256=" + someDigest, "bytes 0-4/5", upgrader.Upload{Digest: someDigest, Total: 5, Part: &upgrader.Part{From: 0, Until: 5}}},
		{"?sha256=" + someDigest, "bytes */20", upgrader.Upload{Digest: someDigest, Total: 20, Part: &upgrader.Part{From: upgrader.NoBytes}}},
		{"?exclude=n3,%20n4&exclude=n5&exclude=", "", upgrader.Upload{Total: 5, Exclude: []string{"n3", "n4", "n5"}}},
	} {
		m.upgrader.came = upgrader.PartTaken
		w := m.do("POST", stagePath+c.query, "bytes", "Content-Range", c.span)
		if w.Code != http.StatusAccepted {
			t.Errorf("%s, %q: %d %s", c.query, c.span, w.Code, w.Body)
		}
		got := m.upgrader.in
		got.Body, c.want.By = nil, "admin"
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s, %q (-want +got): %s", c.query, c.span, diff)
		}
	}
}

func TestAPartThatCannotBeReadIsRefusedByName(t *testing.T) {
	m := readyMember(t)
	m.upgrader.upload = func(context.Context, io.Reader) error { return errors.New("it was read") }
	named := "?sha256=" + someDigest
	for _, c := range []struct{ query, span, word string }{
		{"", "bytes 0-4/5", "sha256"},
		{"?sha256=", "", "sha256"},
		{"?sha256=ab", "", "64 digits"},
		{named, "bytes 0-4", "FIRST-LAST/TOTAL"},
		{named, "items 0-4/5", "FIRST-LAST/TOTAL"},
		{named, "bytes 4-0/5", "ends before it begins"},
		{named, "bytes 0-5/5", "after the end"},
		{named, "bytes -1-4/5", "FIRST-LAST/TOTAL"},
		{named, "bytes 0-4/*", "FIRST-LAST/TOTAL"},
		{named, "bytes */0", "FIRST-LAST/TOTAL"},
		{named, "bytes 0-99999999999999999999/999999999999999999999", "FIRST-LAST/TOTAL"},
		{named, "bytes 0-5/10", "the body has 5"},
	} {
		w := m.do("POST", stagePath+c.query, "bytes", "Content-Range", c.span)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), c.word) {
			t.Errorf("%s, %q: %d %s", c.query, c.span, w.Code, w.Body)
		}
	}
}

func TestAGapSaysWhereToGoOnFrom(t *testing.T) {
	m := readyMember(t)
	m.upgrader.err = errors.Join(&upgrader.Gap{From: 9, Size: 7})
	w := m.want(t, "POST", stagePath+"?sha256="+someDigest, "bytes", http.StatusRequestedRangeNotSatisfiable, "")
	if w.Header().Get("Range") != "bytes=0-6" || !strings.Contains(w.Body.String(), "go on from byte 7") {
		t.Errorf("Range %q, %s", w.Header().Get("Range"), w.Body)
	}
	m.upgrader.err = &upgrader.Gap{From: 9}
	if w := m.do("POST", stagePath+"?sha256="+someDigest, "bytes"); w.Header().Get("Range") != "" {
		t.Errorf("Range %q of nothing", w.Header().Get("Range"))
	}
}

func TestHowMuchHasComeIsAskedByDigest(t *testing.T) {
	m := readyMember(t)
	m.want(t, "GET", stagePath+"?sha256="+someDigest, "", 200, `{"Path":"sha256:`+someDigest+`","Size":3,"Total":5}`)
	m.want(t, "GET", stagePath, "", 400, "")
	m.upgrader.err = model.Problemf(model.NotFound, "nobody has any of it")
	m.want(t, "GET", stagePath+"?sha256="+someDigest, "", 404, "")
}

func TestTheSingleStepAnswersAsStageDoes(t *testing.T) {
	m := readyMember(t)
	m.upgrader.came = upgrader.NewlyStaged
	m.want(t, "POST", "/api/v3/system/upgrade", "bytes", 201, `{"Path":"sha256:00","Size":5}`)
	m.upgrader.err = model.Problemf(model.Conflict, "this cluster has 3 members")
	m.want(t, "POST", "/api/v3/system/upgrade", "bytes", 409, "")
}
