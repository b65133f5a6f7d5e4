package api

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/upgrader"
)

// stage takes an archive, or a part of one, of any length and content type, as
// it comes in.
func (a *API) stage(_ http.Header, r *http.Request) (int, any, error) {
	up, err := a.upload(r)
	if err != nil {
		return 0, nil, err
	}
	blob, came, err := a.Upgrader.Stage(r.Context(), up)
	return stagedStatus(came), blob, err
}

func stagedStatus(came upgrader.Outcome) int {
	switch came {
	case upgrader.NewlyStaged:
		return http.StatusCreated
	case upgrader.PartTaken:
		return http.StatusAccepted
	}
	return http.StatusOK
}

// received tells how much of an upload has come.
func (a *API) received(_ http.Header, r *http.Request) (int, any, error) {
	digest, err := digestParam(r.URL.Query())
	if err != nil {
		return 0, nil, err
	}
	if digest == "" {
		return 0, nil, model.Problemf(model.Malformed, "sha256: say of which upload, by the SHA-256 of the whole archive in hex")
	}
	got, err := a.Upgrader.Received(r.Context(), digest)
	return http.StatusOK, got, err
}

// inline is Digital Rebar's single step. Its answer is out in full before
// anything restarts: a swap waits for requests in flight.
func (a *API) inline(_ http.Header, r *http.Request) (int, any, error) {
	blob, came, err := a.Upgrader.Inline(r.Context(), upgrader.Upload{Body: r.Body, By: visitOf(r).user})
	return stagedStatus(came), blob, err
}

// upload reads what a request says of its body.
func (a *API) upload(r *http.Request) (up upgrader.Upload, err error) {
	query := r.URL.Query()
	up = upgrader.Upload{Body: r.Body, By: visitOf(r).user, Total: max(0, r.ContentLength), Exclude: excludeParam(query)}
	if up.Digest, err = digestParam(query); err != nil {
		return up, err
	}
	if b := visitOf(r).body; b != nil && up.Digest != "" {
		go b.endWith(r.Context(), &a.draining)
	}
	said := r.Header.Get("Content-Range")
	if said == "" {
		return up, nil
	}
	if up.Digest == "" {
		return up, model.Problemf(model.Malformed, "Content-Range: a part is of an upload that is named by its digest: add the query ?sha256=<hex of the whole archive>")
	}
	up.Part, up.Total, err = parseRange(said)
	if err == nil && up.Part.From != upgrader.NoBytes && r.ContentLength >= 0 && r.ContentLength != up.Part.Until-up.Part.From {
		err = model.Problemf(model.Malformed, "Content-Range: %s is %d bytes, and the body has %d", said, up.Part.Until-up.Part.From, r.ContentLength)
	}
	return up, err
}

func digestParam(query url.Values) (string, error) {
	said := strings.TrimPrefix(query.Get("sha256"), "sha256:")
	if said == "" && !query.Has("sha256") {
		return "", nil
	}
	raw, err := hex.DecodeString(said)
	if err != nil || len(raw) != 32 {
		return "", model.Problemf(model.Malformed, "sha256: %q is not a SHA-256 in hex: want 64 digits", said)
	}
	return hex.EncodeToString(raw), nil
}

// excludeParam are members, each said by itself or several between commas.
func excludeParam(query url.Values) (all []string) {
	for _, said := range query["exclude"] {
		for _, one := range strings.Split(said, ",") {
			if one = strings.TrimSpace(one); one != "" {
				all = append(all, one)
			}
		}
	}
	return all
}

// parseRange reads "bytes A-B/TOTAL", both ends included (RFC 9110, 14.4), or
// "bytes */TOTAL" for a body without bytes.
func parseRange(said string) (*upgrader.Part, int64, error) {
	bad := func(why string) (*upgrader.Part, int64, error) {
		return nil, 0, model.Problemf(model.Malformed, "Content-Range: %q %s: want bytes FIRST-LAST/TOTAL", said, why)
	}
	rest, isBytes := strings.CutPrefix(said, "bytes ")
	span, whole, cut := strings.Cut(rest, "/")
	total, err := strconv.ParseUint(whole, 10, 62)
	if !isBytes || !cut || err != nil || total == 0 {
		return bad("cannot be read")
	}
	if span == "*" {
		return &upgrader.Part{From: upgrader.NoBytes}, int64(total), nil
	}
	first, last, _ := strings.Cut(span, "-")
	from, err1 := strconv.ParseUint(first, 10, 62)
	to, err2 := strconv.ParseUint(last, 10, 62)
	switch {
	case err1 != nil || err2 != nil:
		return bad("cannot be read")
	case from > to:
		return bad("ends before it begins")
	case to >= total:
		return bad("ends after the end")
	}
	return &upgrader.Part{From: int64(from), Until: int64(to) + 1}, int64(total), nil
}

// gapRefused is the answer to a part that does not begin where the upload ends.
func gapRefused(h http.Header, gap *upgrader.Gap) (int, []string) {
	if gap.Size > 0 {
		h.Set("Range", fmt.Sprintf("bytes=0-%d", gap.Size-1))
	}
	return http.StatusRequestedRangeNotSatisfiable, []string{gap.Error()}
}
