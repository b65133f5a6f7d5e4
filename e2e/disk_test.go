package e2e

import (
	"net/http"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAMemberWhoseDiskIsTooSmallIsNamedAtStage(t *testing.T) {
	t.Parallel()
	if syscall.Geteuid() != 0 {
		t.Fatal("run as root: one member gets a small file system for its data")
	}
	c := newCluster(t, func(p *Plan) {
		p.Prepare = func(m *Member) error {
			if m.Name != "n3" {
				return nil
			}
			return syscall.Mount("tmpfs", m.Data(), "tmpfs", 0, "size=16m")
		}
	})
	small := c.Named("n3")
	t.Cleanup(func() { check(t, syscall.Unmount(small.Data(), syscall.MNT_DETACH)) })
	ctx := within(t)
	before := still(t, c)

	a := must[Answer](t)(c.Stage(ctx, c.Members[0], archive(t, v110)))

	refused(t, a, http.StatusUnprocessableEntity, "n3", small.Data(), "free or add disk space")
	check(t, Until(ctx, "every member to look as before", func() (bool, error) {
		return cmp.Equal(before, still(t, c)), nil
	}))
}
