package staging

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// sent is the proof of an archive after a journey as JSON.
func sent(t *testing.T, archive []byte) Proof {
	t.Helper()
	p, err := openBytes(t, archive).Proof()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var got Proof
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAProofSaysWhatItsPackageSays(t *testing.T) {
	key, trust := newKey(t)
	open := trust
	open.AllowUnsigned = true
	for _, f := range formats {
		for _, by := range []*Key{&key, nil} {
			archive := good(by).in(t, f)
			want, err := verify(t, archive, DefaultLimits(), open)
			if err != nil {
				t.Fatal(err)
			}
			got, err := sent(t, archive).Verify(open)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", f, err, diff)
			}
		}
	}
}

func TestAProofIsJudgedAsItsPackageIs(t *testing.T) {
	key, trust := newKey(t)
	stranger, _ := newKey(t)
	rows := []struct {
		what  string
		spoil func(d *draft)
	}{
		{"no signature", func(d *draft) { d.key = nil }},
		{"an empty signature", func(d *draft) { d.key = nil; d.tail = []part{{name: signatureName}} }},
		{"signed by an unknown key", func(d *draft) { d.key = &stranger }},
		{"sums changed after signing", func(d *draft) { resign(d, key, "0", "1") }},
		{"wrong checksum of the manifest", func(d *draft) { d.at(manifestName).body += "# more\n" }},
		{"a manifest for something else", func(d *draft) { d.replace(manifestName, strings.Replace(goodManifest, "theseus", "argo", 1)) }},
		{"no daemon for a platform of the manifest", func(d *draft) { d.remove("bin/linux/arm64/theseusd") }},
		{"an empty daemon", func(d *draft) { d.replace("bin/linux/arm64/theseusd", "") }},
		{"a daemon for a platform that the manifest does not name", func(d *draft) { d.add(part{name: "bin/linux/s390x/theseusd", body: "x"}) }},
		{"sums that name a file twice", func(d *draft) { d.text = new(string(d.sums.format()) + string(d.sums.format())) }},
	}
	for _, r := range rows {
		t.Run(r.what, func(t *testing.T) {
			d := good(&key)
			r.spoil(d)
			for _, f := range formats {
				archive := d.in(t, f)
				_, want := verify(t, archive, DefaultLimits(), trust)
				_, got := sent(t, archive).Verify(trust)
				if want == nil {
					t.Fatal("the package is taken")
				}
				checkProblem(t, got, model.KindOf(want), want.Error())
			}
		})
	}
}

func TestAProofThatIsNoneIsRefused(t *testing.T) {
	key, trust := newKey(t)
	whole := sent(t, good(&key).bytes(t))
	_, err := Proof{}.Verify(trust)
	checkProblem(t, err, model.Refused, "not signed")
	_, err = Proof{}.Verify(Trust{AllowUnsigned: true})
	checkProblem(t, err, model.Refused, "sha256sums")
	_, err = Proof{Sums: whole.Sums, Signature: whole.Signature}.Verify(trust)
	checkProblem(t, err, model.Refused, manifestName, "checksum")
	_, err = Proof{Sums: make([]byte, sumsLimit+1)}.Verify(Trust{AllowUnsigned: true})
	checkProblem(t, err, model.TooLarge, sumsName, "the limit")
	_, err = Proof{Sums: whole.Sums, Signature: whole.Signature, Manifest: make([]byte, manifestLimit+1)}.Verify(trust)
	checkProblem(t, err, model.TooLarge, manifestName, "the limit")

	d := good(&key)
	d.remove(manifestName)
	_, err = openBytes(t, d.bytes(t)).Proof()
	checkProblem(t, err, model.Refused, "no manifest.yaml")
}
