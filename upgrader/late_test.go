package upgrader

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
)

// fellows are other members, and what each of them says that it runs.
type fellows struct {
	Cluster
	offers map[string]offer
}

func (f fellows) Call(_ context.Context, member, path string, _, out any) error {
	o, there := f.offers[member]
	if path != pathRelease || !there {
		return model.Problemf(model.NotFound, "no release")
	}
	*out.(*offer) = o
	return nil
}

// proven is a release of a version with a daemon for linux/amd64, signed by key
// unless that is "".
func proven(t *testing.T, version, key string) offer {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "theseusd"), []byte("daemon "+version), 0o755); err != nil {
		t.Fatal(err)
	}
	r := staging.Recipe{Version: version, Bins: map[string]string{"linux/amd64": bin}}
	if key != "" {
		k, err := staging.LoadKey(key, "")
		if err != nil {
			t.Fatal(err)
		}
		r.Key = &k
	}
	var archive bytes.Buffer
	if err := staging.Build(&archive, r); err != nil {
		t.Fatal(err)
	}
	pkg, err := staging.Open(bytes.NewReader(archive.Bytes()), int64(archive.Len()), staging.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	proof, err := pkg.Proof()
	if err != nil {
		t.Fatal(err)
	}
	facts, err := proof.Verify(staging.Trust{AllowUnsigned: true})
	if err != nil {
		t.Fatal(err)
	}
	return offer{Upgrade: "u", Version: version, Platform: "linux/amd64", Image: facts.Images["linux/amd64"], Proof: proof}
}

func newKey(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "key")
	if err := staging.Keygen(path, ""); err != nil {
		t.Fatal(err)
	}
	return path
}

// A peer's word is worth what the signature is worth: whoever can pass a binary on
// could run anything here.
func TestS12OnlyAReleaseThatSomebodyTrustedSignedIsTaken(t *testing.T) {
	ours, theirs := newKey(t), newKey(t)
	trust, err := staging.LoadTrust([]string{ours + ".pub"}, false)
	if err != nil {
		t.Fatal(err)
	}
	good := proven(t, "1.1.0", ours)
	with := func(change func(*offer)) offer { o := good; change(&o); return o }
	for name, c := range map[string]struct {
		offer offer
		word  string
	}{
		"unsigned":                      {proven(t, "1.1.0", ""), "not signed"},
		"signed by a stranger":          {proven(t, "1.1.0", theirs), "not trusted here"},
		"with sums that were changed":   {with(func(o *offer) { o.Proof.Sums = append([]byte("\n"), o.Proof.Sums...) }), "does not fit"},
		"with another manifest":         {with(func(o *offer) { o.Proof.Manifest = proven(t, "9.9.9", "").Proof.Manifest }), "manifest"},
		"with another image":            {with(func(o *offer) { o.Image = "sha256:other" }), "what vouches for it is for 1.1.0"},
		"with another version":          {with(func(o *offer) { o.Version = "1.2.0" }), "what vouches for it is for 1.1.0"},
		"for another platform":          {with(func(o *offer) { o.Platform = "linux/arm64" }), "not on linux/amd64"},
		"of the version that runs here": {proven(t, "1.0.0", ours), "not newer"},
		"of a version from before":      {proven(t, "0.9.0", ours), "not newer"},
		"that says nothing":             {offer{}, "not on linux/amd64"},
	} {
		u := &Upgrader{Config: Config{Trust: trust, Self: model.Member{ID: "me", Version: "1.0.0", Platform: "linux/amd64"},
			Cluster: fellows{offers: map[string]offer{"a": c.offer}}}}
		members := map[string]model.Member{"me": {ID: "me"}, "a": {ID: "a", Name: "a"}}
		if _, _, err := u.findRelease(t.Context(), picture{members: members}); err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("one %s: %v, which does not say %q", name, err, c.word)
		}
		u.Cluster = fellows{offers: map[string]offer{"a": c.offer, "b": good}}
		members["b"] = model.Member{ID: "b", Name: "b"}
		if peer, o, err := u.findRelease(t.Context(), picture{members: members}); err != nil || peer != "b" || o.Image != good.Image {
			t.Errorf("one %s hides a good one: %s, %v", name, peer, err)
		}
	}
}
