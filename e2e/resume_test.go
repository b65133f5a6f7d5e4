package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// batch is how much a member that is killed may lose of an upload.
const batch = 8 << 20

// fat is an unsigned archive of v110 with size bytes more, and its digest.
func fat(t *testing.T, size int64) (file, digest string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "fat.zip")
	check(t, Fatten(unsigned(t, "1.1.0", v110), file, size))
	return file, must[string](t)(digestOf(file))
}

func allowUnsigned(p *Plan) { p.TrustedKey = "" }

// cutAt sends the first part of file through m, and leaves the connection open
// when m has taken it in.
func cutAt(t *testing.T, c *Cluster, m *Member, file, digest string, part int64) *Sending {
	t.Helper()
	ctx := within(t)
	f := must[*os.File](t)(os.Open(file))
	defer f.Close()
	info := must[os.FileInfo](t)(f.Stat())
	s := must[*Sending](t)(c.BeginUpload(ctx, m, digest, 0, info.Size()))
	check(t, s.Send(io.LimitReader(f, part)))
	check(t, Until(ctx, "what was sent to be synced", func() (bool, error) {
		got, err := c.Received(ctx, m, digest)
		return got >= part/batch*batch, err
	}))
	return s
}

func sizeOf(t *testing.T, file string) int64 {
	t.Helper()
	return must[os.FileInfo](t)(os.Stat(file)).Size()
}

func TestAnUploadThroughAMemberThatIsStoppedGoesOnThroughAnotherWithoutAByteSentTwice(t *testing.T) {
	t.Parallel()
	c := newCluster(t, allowUnsigned)
	ctx := within(t)
	file, digest := fat(t, 300<<20)
	size := sizeOf(t, file)
	first, second := followers(t, c)[0], followers(t, c)[1]

	s := cutAt(t, c, first, file, digest, size*2/5/batch*batch+1<<16)
	check(t, first.Stop(ctx))
	refused(t, must[Answer](t)(s.Answer()), http.StatusServiceUnavailable, "what has come is kept")
	check(t, s.Cut())
	check(t, first.Start())
	check(t, first.AwaitReady(ctx))
	if got := must[int64](t)(c.Received(ctx, second, digest)); got != s.Sent {
		t.Errorf("%d bytes were sent, and after the stop the cluster has %d", s.Sent, got)
	}

	a, rest, err := c.SendRest(ctx, second, file, digest)
	answered(t, a, err, http.StatusCreated)
	if twice := s.Sent + rest - size; twice != 0 {
		t.Errorf("%d bytes of %d were sent twice", twice, size)
	}
	for _, m := range c.Members {
		if got := must[Status](t)(c.UpToDate(ctx, m)); got.Status != "staged" {
			t.Errorf("%s shows %+v", m.Name, got)
		}
		check(t, Until(ctx, m.Name+" to drop what was cut", func() (bool, error) {
			left, err := filepath.Glob(filepath.Join(m.Data(), "state", "partial-*"))
			return len(left) == 0, err
		}))
	}
}

func TestAnUploadOutlivesAKillAndChangesOfLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, allowUnsigned)
	ctx := within(t)
	file, digest := fat(t, 64<<20)
	size := sizeOf(t, file)
	leader := must[*Member](t)(c.Leader(ctx, c.Members[0]))
	first, second := followers(t, c)[0], followers(t, c)[1]

	s := cutAt(t, c, first, file, digest, size*2/5)
	check(t, first.Kill(ctx))
	check(t, first.Start())
	check(t, first.AwaitReady(ctx))
	got := must[int64](t)(c.Received(ctx, second, digest))
	if twice := s.Sent - got; twice < 0 || twice > batch {
		t.Errorf("of %d bytes that were sent %d are gone after the kill, more than %d", s.Sent, twice, batch)
	}

	var g errgroup.Group
	g.Go(func() error {
		_, err := c.CLI(ctx, second, "system", "upgrade", "stage", file)
		return err
	})
	check(t, Until(ctx, "the archive to be on its way", func() (bool, error) {
		return strings.Contains(second.LogTail(50), "verified an upload"), nil
	}))
	check(t, c.Transfer(ctx, first))
	check(t, c.Transfer(ctx, leader))
	check(t, g.Wait())
	if s := must[Status](t)(c.UpToDate(ctx, first)); s.Status != "staged" {
		t.Errorf("%+v", s)
	}

	a, err := c.Unstage(ctx, second)
	answered(t, a, err, http.StatusOK)
	check(t, first.Kill(ctx))
	a, err = c.Do(ctx, second, staging(t, unsigned(t, "1.1.0", v110), "?exclude="+first.Name))
	answered(t, a, err, http.StatusCreated)
}

// staging is an upload of file in one request.
func staging(t *testing.T, file, query string) Request {
	t.Helper()
	f := must[*os.File](t)(os.Open(file))
	t.Cleanup(func() { f.Close() })
	return Request{Method: "POST", Path: stagePath + query, Body: f, Size: -1}
}

func TestAnUploadIsHeldToItsDigestAndItsPlace(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 1 })
	ctx := within(t)
	m, file := c.Members[0], archive(t, v110)
	size, digest := sizeOf(t, file), must[string](t)(digestOf(file))
	other := archive(t, Build{Version: "1.0.1"})
	before := still(t, c)

	wrong := must[Answer](t)(c.Do(ctx, m, staging(t, other, "?sha256="+digest)))
	refused(t, wrong, http.StatusUnprocessableEntity, digest, "from the beginning")
	unknown := must[Answer](t)(c.Do(ctx, m, staging(t, file, "?exclude=n7")))
	refused(t, unknown, http.StatusUnprocessableEntity, "n7")
	ahead := must[*Sending](t)(c.BeginUpload(ctx, m, digest, 5, size))
	refused(t, must[Answer](t)(ahead.Answer()), http.StatusRequestedRangeNotSatisfiable, "go on from byte 0")
	check(t, ahead.Cut())
	unchanged(t, c, before)

	for _, old := range []string{"01", "02", "03"} { // two are kept
		s := must[*Sending](t)(c.BeginUpload(ctx, m, strings.Repeat(old, 32), 0, 10))
		check(t, s.Send(strings.NewReader("five!")))
		check(t, s.Cut())
		check(t, Until(ctx, "what was sent to be kept", func() (bool, error) {
			got, err := c.Received(ctx, m, strings.Repeat(old, 32))
			return got == 5, err
		}))
	}
	if got := must[int64](t)(c.Received(ctx, m, strings.Repeat("01", 32))); got != 0 {
		t.Errorf("three are kept: %d bytes of the oldest", got)
	}

	open := cutAt(t, c, m, file, digest, size-1)
	twice := must[Answer](t)(c.Do(ctx, m, staging(t, file, "?sha256="+digest)))
	refused(t, twice, http.StatusConflict, "being uploaded")
	check(t, open.Cut())
	check(t, Until(ctx, "what was sent to be kept", func() (bool, error) {
		got, err := c.Received(ctx, m, digest)
		return got == size-1, err
	}))
	a, rest, err := c.SendRest(ctx, m, file, digest)
	answered(t, a, err, http.StatusCreated)
	if rest != 1 {
		t.Errorf("%d bytes were sent of the one that lacked", rest)
	}

	again := must[*Sending](t)(c.BeginUpload(ctx, m, digest, 0, size))
	answered(t, must[Answer](t)(again.Answer()), nil, http.StatusOK)
	check(t, again.Cut())
	late := must[*Sending](t)(c.BeginUpload(ctx, m, strings.Repeat("ab", 32), 0, size))
	refused(t, must[Answer](t)(late.Answer()), http.StatusConflict, "unstage")
	check(t, late.Cut())
}
