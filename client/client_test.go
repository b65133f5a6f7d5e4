package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// serve answers with a server and a client that trusts it.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return ask(t, s.URL)
}

func ask(t *testing.T, endpoint string) *Client {
	t.Helper()
	c, err := New(Config{Endpoint: endpoint, Insecure: true, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func breakOff() { panic(http.ErrAbortHandler) }

func TestAReadOutlivesAMemberThatBreaksOff(t *testing.T) {
	var tries atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		switch tries.Add(1) {
		case 1:
			breakOff()
		case 2: // half an answer
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"version":`)
			http.NewResponseController(w).Flush()
			breakOff()
		}
		w.Header().Set("X-Theseus-Index", "7")
		io.WriteString(w, `{"version":"1.0.0"}`)
	})
	var info model.Info
	index, err := c.Read(t.Context(), "info", nil, &info)
	if err != nil || index != 7 || info.Version != "1.0.0" || tries.Load() != 3 {
		t.Errorf("index %d, version %q, %d tries, %v", index, info.Version, tries.Load(), err)
	}
}

func TestAReadIsTriedOnceWithoutPatience(t *testing.T) {
	var tries atomic.Int32
	c := serve(t, func(http.ResponseWriter, *http.Request) { tries.Add(1); breakOff() })
	c.patience = 0
	_, err := c.Read(t.Context(), "info", nil, new(any))
	var silent *Unreachable
	if !errors.As(err, &silent) || silent.Sent || tries.Load() != 1 {
		t.Errorf("%d tries, %v", tries.Load(), err)
	}
}

func TestAWriteIsSentOnceAndSaysThatItMayHaveBeenDone(t *testing.T) {
	var writes atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			io.WriteString(w, `{}`)
			return
		}
		io.Copy(io.Discard, r.Body)
		writes.Add(1)
		breakOff()
	})
	for _, method := range []string{"POST", "DELETE", "PUT"} {
		// On a connection that was used before, net/http itself is tempted to send again.
		if _, err := c.Read(t.Context(), "info", nil, new(any)); err != nil {
			t.Fatal(err)
		}
		writes.Store(0)
		_, err := c.Write(t.Context(), method, "profiles", map[string]string{"Name": "p1"}, nil)
		var silent *Unreachable
		if !errors.As(err, &silent) || !silent.Sent || writes.Load() != 1 {
			t.Errorf("%s: sent %d times, %v", method, writes.Load(), err)
		}
	}
}

func TestAWriteToNobodyWasNotDone(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	s.Close()
	_, err := ask(t, s.URL).Write(t.Context(), "POST", "profiles", nil, nil)
	var silent *Unreachable
	if !errors.As(err, &silent) || silent.Sent || silent.Endpoint != s.URL {
		t.Errorf("%#v", err)
	}
}

func TestACertificateOfSomebodyElseIsFinal(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { t.Error("it was asked") })
	strict, err := New(Config{Endpoint: c.Endpoint(), Token: "secret", Patience: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = strict.Read(t.Context(), "info", nil, new(any)); !untrusted(err) {
		t.Errorf("%v", err)
	}
}

func TestWhoCallsItOffIsToldSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, func(http.ResponseWriter, *http.Request) { cancel(); breakOff() })
	if _, err := c.Read(ctx, "info", nil, new(any)); err != context.Canceled {
		t.Errorf("read: %v", err)
	}
	if _, err := c.Write(ctx, "POST", "profiles", nil, nil); err != context.Canceled {
		t.Errorf("write: %v", err)
	}
}

func TestRefusalsAreKeptAsTheyWereSent(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   model.Error
	}{
		{409, `{"Model":"profiles","Key":"p1","Type":"CREATE","Messages":["already exists"],"Code":409}`,
			model.Error{Model: "profiles", Key: "p1", Type: "CREATE", Messages: []string{"already exists"}, Code: 409}},
		{404, `{"Type":"GET","Messages":["Not Found"],"Code":200}`,
			model.Error{Type: "GET", Messages: []string{"Not Found"}, Code: 404}},
		{502, "<html>Bad Gateway</html>\n",
			model.Error{Type: "CLIENT_ERROR", Code: 502, Messages: []string{`the answer is not one of Theseus: 502 Bad Gateway: "<html>Bad Gateway</html>"`}}},
		{500, "", model.Error{Type: "CLIENT_ERROR", Code: 500, Messages: []string{`the answer is not one of Theseus: 500 Internal Server Error: ""`}}},
		{307, "", model.Error{Type: "CLIENT_ERROR", Code: 307, Messages: []string{`the answer is not one of Theseus: 307 Temporary Redirect: ""`}}},
	} {
		api := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.invalid/")
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		})
		_, err := api.Read(t.Context(), "profiles/p1", nil, new(any))
		var got *model.Error
		if !errors.As(err, &got) {
			t.Fatalf("%d: %v", c.status, err)
		}
		if diff := cmp.Diff(c.want, *got); diff != "" {
			t.Errorf("%d (-want +got):\n%s", c.status, diff)
		}
	}
}

func TestAnUploadThatIsRefusedAtOnceIsNotSent(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, `{"Type":"conflict","Messages":["another is staged"],"Code":409}`)
	})
	body := &counted{Reader: strings.NewReader(strings.Repeat("x", 1<<20))}
	_, _, err := c.Stage(t.Context(), body, 1<<20)
	var refused *model.Error
	if !errors.As(err, &refused) || refused.Code != 409 || body.n.Load() != 0 {
		t.Errorf("%d bytes were read, %v", body.n.Load(), err)
	}
}

type counted struct {
	io.Reader
	n atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	return n, err
}

func TestAnUploadArrivesWholeWithAndWithoutALength(t *testing.T) {
	type seen struct {
		Length int64
		Kind   string
		Bytes  int
		Login  string
	}
	var got seen
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = seen{r.ContentLength, r.Header.Get("Content-Type"), len(body), r.Header.Get("Authorization")}
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"Path":"sha256:ab","Size":1048576}`)
	})
	c.authorize = authorization(Config{Token: "t", User: "not", Password: "used"})
	for _, size := range []int64{1 << 20, -1} {
		blob, created, err := c.Stage(t.Context(), io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20))), size)
		if err != nil || !created || blob.Size != 1<<20 {
			t.Errorf("%+v, created %v, %v", blob, created, err)
		}
		if diff := cmp.Diff(seen{size, "application/octet-stream", 1 << 20, "Bearer t"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestPathsKeepTheSlashesOfAKeyAndNoOthers(t *testing.T) {
	if got, want := Path("profiles", "a/../b c"), "profiles/a%2F..%2Fb%20c"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := ParamPath("p 1", "rackn/test?x"), "profiles/p%201/params/rackn/test%3Fx"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOnlyEndpointsThatKeepALoginSecretAreTaken(t *testing.T) {
	good := []string{"https://127.0.0.1:8092", "https://host/", "https://[::1]:8092//"}
	bad := []string{"", "host:8092", "http://host:8092", "https://", "https://host/path", "https://u:p@host", "https://host?x=1", "\x00"}
	for _, e := range slices.Concat(good, bad) {
		if _, err := New(Config{Endpoint: e}); (err == nil) != slices.Contains(good, e) {
			t.Errorf("%q: %v", e, err)
		}
	}
}

func TestLargeNumbersOfTheServerArriveAsTheyAre(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"Name":"p1","Params":{"n":12345678901234567890}}`)
	})
	var p model.Profile
	if _, err := c.Read(t.Context(), "profiles/p1", nil, &p); err != nil {
		t.Fatal(err)
	}
	if got := p.Params["n"]; got != json.Number("12345678901234567890") {
		t.Errorf("%v", got)
	}
}
