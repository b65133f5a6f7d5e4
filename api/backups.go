package api

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
)

// backupRequest asks for a backup; the body may be empty.
type backupRequest struct {
	Reason string `json:"reason"`
}

// download is a body of known size that is read as it goes out, and closed.
type download struct {
	kind string
	size int64
	body io.ReadCloser
}

// send writes a download. A client that takes nothing for a while is hung up on;
// one that gets less than it was promised knows that it is cut short.
func (a *API) send(w http.ResponseWriter, d download) int {
	defer d.body.Close()
	w.Header().Set("Content-Type", d.kind)
	w.Header().Set("Content-Length", strconv.FormatInt(d.size, 10))
	if a.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	n, err := io.Copy(paced{w, http.NewResponseController(w)}, d.body)
	if err != nil || n != d.size {
		a.log.Warn("send a file", "bytes", n, "of", d.size, "error", err)
	}
	return int(n)
}

// paced gives each piece that is written the time of an answer.
type paced struct {
	io.Writer
	control *http.ResponseController
}

func (p paced) Write(piece []byte) (int, error) {
	p.control.SetWriteDeadline(time.Now().Add(writeLimit))
	return p.Writer.Write(piece)
}

func (a *API) listBackups(_ http.Header, r *http.Request) (int, any, error) {
	list, err := a.Upgrader.Backups(r.Context())
	return http.StatusOK, list, err
}

// makeBackup makes one on the member that is asked.
func (a *API) makeBackup(_ http.Header, r *http.Request) (int, any, error) {
	var q backupRequest
	if r.ContentLength != 0 {
		if err := readStrict(r, &q); err != nil {
			return 0, nil, err
		}
	}
	b, err := a.Upgrader.Backup(r.Context(), q.Reason, visitOf(r).user)
	return http.StatusCreated, b, err
}

func (a *API) getBackup(h http.Header, r *http.Request) (int, any, error) {
	name := chi.URLParam(r, "name")
	body, size, err := a.Upgrader.OpenBackup(r.Context(), name)
	if err != nil {
		return 0, nil, err
	}
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	return http.StatusOK, download{kind: "application/octet-stream", size: size, body: body}, nil
}

func (a *API) dropBackup(_ http.Header, r *http.Request) (int, any, error) {
	return http.StatusOK, empty{}, a.Upgrader.DropBackup(r.Context(), chi.URLParam(r, "name"))
}

// restore takes a backup in the body, of any content type.
func (a *API) restore(_ http.Header, r *http.Request) (int, any, error) {
	restored, err := a.Upgrader.Restore(r.Context(), r.Body, visitOf(r).user)
	return http.StatusOK, restored, err
}
