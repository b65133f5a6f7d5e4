package staging

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

const migratingManifest = goodManifest + `migrations:
  - name: drop-old
    phase: contract
  - name: item-form
    phase: migrate
    memory: 256MiB
    deadline: 2h
`

// moving is a good draft that brings two migrations.
func moving(key *Key) *draft {
	d := good(key)
	d.replace(manifestName, migratingManifest)
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		for _, name := range []string{"drop-old", "item-form"} {
			d.add(part{name: "migrations/" + platform + "/" + name, body: name + " for " + platform, mode: 0o755})
		}
	}
	return d
}

// moved are the facts of moving's migrations.
func moved() []model.Migration {
	images := func(name string) map[string]string {
		return map[string]string{"linux/amd64": imageOf(name + " for linux/amd64"), "linux/arm64": imageOf(name + " for linux/arm64")}
	}
	return []model.Migration{
		{Name: "item-form", Phase: model.Migrate, Memory: 256 << 20, Deadline: 2 * time.Hour, Images: images("item-form")},
		{Name: "drop-old", Phase: model.Contract, Images: images("drop-old")},
	}
}

func TestMigrationsAreReadInTheOrderOfTheirPhasesAndWrittenBack(t *testing.T) {
	text := goodManifest + `migrations:
- {name: t1, phase: task}
- {name: c1, phase: contract, deadline: 90m}
- {phase: migrate, name: m2, memory: 16 GiB}
- {name: "1e3", phase: expand}
- {name: m1, phase: migrate}
- {name: "null", phase: expand, deadline: 30s}
- {name: 0-9, phase: task}
`
	want := []model.Migration{
		{Name: "1e3", Phase: model.Expand}, {Name: "null", Phase: model.Expand, Deadline: 30 * time.Second},
		{Name: "m2", Phase: model.Migrate, Memory: 16 << 30}, {Name: "m1", Phase: model.Migrate},
		{Name: "c1", Phase: model.Contract, Deadline: 90 * time.Minute},
		{Name: "t1", Phase: model.Task}, {Name: "0-9", Phase: model.Task},
	}
	m, err := parseManifest([]byte(text))
	if diff := cmp.Diff(want, m.Migrations); err != nil || diff != "" {
		t.Fatalf("%v\n%s", err, diff)
	}
	again, err := parseManifest(m.format())
	if diff := cmp.Diff(m, again); err != nil || diff != "" {
		t.Errorf("%v\n%s\n%s", err, diff, m.format())
	}
}

func TestAWrongMigrationIsRefusedByItsLineAndField(t *testing.T) {
	one := func(fields string) string { return goodManifest + "migrations:\n- " + fields + "\n" }
	name := strings.Repeat("a", 41)
	rows := []struct{ what, text, names string }{
		{"no list", goodManifest + "migrations: {item-form: migrate}\n", `line 4, field "migrations": it must be a list of fields`},
		{"nothing", goodManifest + "migrations:\n", `line 4, field "migrations": it must be a list of fields`},
		{"an empty list", goodManifest + "migrations: []\n", `line 4, field "migrations": it is empty: leave it out`},
		{"a list of names", one("item-form"), `line 5, field "migrations": item 1: it must hold fields, such as {name: item-form, phase: migrate}`},
		{"another item's", one("&a {name: a, phase: task}\n- *a"), `line 6, field "migrations": item 2: it must hold fields`},
		{"the list twice", one("{name: a, phase: task}") + "migrations: [{name: b, phase: task}]\n", `line 6, field "migrations": it is there twice`},
		{"a list in a group", goodManifest + "requires:\n  migrations: [{name: a, phase: task}]\n", `line 5, field "requires.migrations": this version does not know it`},
		{"more than 32", goodManifest + "migrations: [" + strings.Repeat("{name: a, phase: task}, ", 33) + "]\n", `it lists 33, more than 32, the limit: have one do`},
		{"a field that is not known", one("name: a\n  phase: task\n  undo: b"), `line 7, field "migrations.undo": item 1: this version does not know it`},
		{"a field twice", one("name: a\n  name: a\n  phase: task"), `line 6, field "migrations.name": item 1: it is there twice: keep one`},
		{"a merge", one("<<: {name: a}\n  phase: task"), `line 5, field "migrations.<<": item 1: this version does not know it`},
		{"no name", one("phase: task"), `line 5, field "migrations.name": item 1: it is missing; it must be a name such as item-form`},
		{"a name of nothing", one("name:\n  phase: task"), `line 5, field "migrations.name": item 1: it must be a text`},
		{"a name in capitals", one("{name: Move, phase: task}"), `field "migrations.name": item 1: "Move" is no name of a migration: use at most 40 small letters`},
		{"a name that leads out", one("{name: ../a, phase: task}"), `"../a" is no name`},
		{"a name that begins with a dash", one("{name: -a, phase: task}"), `"-a" is no name`},
		{"a name of two lines", one(`{name: "a\n", phase: task}`), `"a\n" is no name`},
		{"a long name", one("{name: " + name + ", phase: task}"), `is no name of a migration`},
		{"the name of a job of the cluster", one("{name: verify, phase: task}"), `item 1: "verify" is a job that every cluster has: choose another name`},
		{"another of those", one("{name: backup, phase: migrate}"), `"backup" is a job`},
		{"a name twice", one("{name: a, phase: task}\n- {name: b, phase: task}\n- {name: a, phase: expand}"), `line 7, field "migrations": item 3: there are two of the name "a": rename one`},
		{"no phase", one("{name: a}"), `line 5, field "migrations.phase": item 1: it is missing; it must be expand, migrate, contract or task`},
		{"another phase", one("name: a\n  phase: later"), `line 6, field "migrations.phase": item 1: "later" is no phase: use expand, migrate, contract or task`},
		{"a phase in a list", one("{name: a, phase: [task]}"), `"migrations.phase": item 1: it must be a text`},
		{"memory without a unit", one("{name: a, phase: task, memory: 16}"), `"migrations.memory": item 1: it must be a size such as 16GiB`},
		{"memory of nothing", one("{name: a, phase: task, memory: 0GiB}"), `"migrations.memory"`},
		{"a deadline of days", one("{name: a, phase: task, deadline: 1d}"), `"migrations.deadline": item 1: it must be a duration such as 24h`},
		{"a deadline that is over", one("{name: a, phase: task, deadline: 0s}"), `"migrations.deadline"`},
	}
	for _, r := range rows {
		t.Run(r.what, func(t *testing.T) {
			_, err := parseManifest([]byte(r.text))
			checkProblem(t, err, model.Refused, manifestName, r.names)
		})
	}
	most := []string{}
	for i := range migrationsLimit {
		most = append(most, "{phase: task, name: "+strings.Repeat("a", 40-i)+"}")
	}
	if m, err := parseManifest([]byte(goodManifest + "migrations: [" + strings.Join(most, ", ") + "]\n")); err != nil || len(m.Migrations) != migrationsLimit {
		t.Errorf("as many as may be: %d, %v", len(m.Migrations), err)
	}
}

func TestAPackageSaysWhatMigrationsItBrings(t *testing.T) {
	key, trust := newKey(t)
	for _, f := range formats {
		archive := moving(&key).in(t, f)
		facts, err := verify(t, archive, DefaultLimits(), trust)
		if diff := cmp.Diff(moved(), facts.Migrations); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", f, err, diff)
		}
		proved, err := sent(t, archive).Verify(trust)
		if diff := cmp.Diff(facts, proved); err != nil || diff != "" {
			t.Errorf("%s: its proof: %v\n%s", f, err, diff)
		}
		holdMigrations(t, openBytes(t, archive))
	}
}

func holdMigrations(t *testing.T, p *Package) {
	t.Helper()
	want := "item-form for linux/arm64"
	r, size, err := p.Migration("item-form", "linux/arm64")
	if err != nil || size != int64(len(want)) {
		t.Fatalf("%d bytes, %v", size, err)
	}
	if err := iotest.TestReader(r, []byte(want)); err != nil {
		t.Error(err)
	}
	_, _, err = p.Migration("item-form", "linux/s390x")
	checkProblem(t, err, model.Refused, "migrations/linux/s390x/item-form", "--migrations linux/s390x=DIR")
	_, _, err = p.Migration("other", "linux/amd64")
	checkProblem(t, err, model.Refused, "migrations/linux/amd64/other")
}

func TestAMigrationWithAWrongChecksumNeverComesToItsEnd(t *testing.T) {
	d := moving(nil)
	d.at("migrations/linux/amd64/item-form").body = "item-form for linux/amd65"
	for _, f := range formats {
		r, _, err := openBytes(t, d.in(t, f)).Migration("item-form", "linux/amd64")
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(r)
		checkProblem(t, err, model.Refused, "checksum")
	}
}

func TestAPackageWithWrongMigrationsIsRefused(t *testing.T) {
	key, trust := newKey(t)
	start := func(spoil func(d *draft)) func(*draft) {
		return func(d *draft) {
			*d = *moving(&key)
			spoil(d)
		}
	}
	refuse(t, []spoiled{
		{"a wrong checksum", start(func(d *draft) { d.at("migrations/linux/arm64/drop-old").body = "drop-old for linux/arm65" }),
			model.Refused, []string{"migrations/linux/arm64/drop-old", "checksum"}},
		{"none for a platform", start(func(d *draft) { d.remove("migrations/linux/arm64/drop-old") }),
			model.Refused, []string{"the migration drop-old", "migrations/linux/arm64/drop-old", "--migrations linux/arm64=DIR"}},
		{"an empty one", start(func(d *draft) { d.replace("migrations/linux/arm64/drop-old", "") }),
			model.Refused, []string{"migrations/linux/arm64/drop-old is empty"}},
		{"one that is not declared", start(func(d *draft) { d.add(part{name: "migrations/linux/arm64/more", body: "x"}) }),
			model.Refused, []string{"migrations/linux/arm64/more", "declares no such migration"}},
		{"one for another platform", start(func(d *draft) { d.add(part{name: "migrations/linux/s390x/drop-old", body: "x"}) }),
			model.Refused, []string{"migrations/linux/s390x/drop-old", "for such a platform"}},
		{"another file there", start(func(d *draft) { d.add(part{name: "migrations/README", body: "x"}) }),
			model.Refused, []string{"migrations/README", "declare it there or leave the file out"}},
		{"one where none is declared", func(d *draft) { d.add(part{name: "migrations/linux/amd64/item-form", body: "x"}) },
			model.Refused, []string{"migrations/linux/amd64/item-form", "declares no such migration"}},
		{"one that the sums do not cover", start(func(d *draft) { delete(d.sums, "migrations/linux/amd64/item-form") }),
			model.Refused, []string{"migrations/linux/amd64/item-form", "not in sha256sums"}},
		{"a bomb", start(func(d *draft) {
			d.at("migrations/linux/amd64/item-form").method = 8
			d.replace("migrations/linux/amd64/item-form", strings.Repeat("\x00", 8<<20))
		}), model.TooLarge, []string{"100 times"}},
	}, key, trust, formats...)
}

func TestAProofHoldsTheMigrationsOfItsPackage(t *testing.T) {
	key, trust := newKey(t)
	d := moving(&key)
	d.remove("migrations/linux/arm64/drop-old")
	_, err := sent(t, d.bytes(t)).Verify(trust)
	checkProblem(t, err, model.Refused, "migrations/linux/arm64/drop-old")
}

// movers is a directory for each platform with the programs that moving has.
func movers(t testing.TB, platforms ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, platform := range platforms {
		all[platform] = t.TempDir()
		for _, name := range []string{"item-form", "drop-old", "notes"} {
			write(t, all[platform]+"/"+name, name+" for "+platform)
		}
	}
	return all
}

func TestMigrationsAreBuiltFromWhatTheManifestDeclares(t *testing.T) {
	key, trust := newKey(t)
	platforms := []string{"linux/amd64", "linux/arm64"}
	r := Recipe{Version: "1.1.0", Bins: bins(t, platforms...), Migrations: movers(t, platforms...), Extra: []byte(migratingManifest), Key: &key}
	for _, r.Format = range formats {
		archive := build(t, r)
		facts, err := verify(t, archive, DefaultLimits(), trust)
		if diff := cmp.Diff(moved(), facts.Migrations); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", r.Format, err, diff)
		}
		if !bytes.Equal(archive, build(t, r)) {
			t.Errorf("two builds of a %s differ", r.Format)
		}
		holdMigrations(t, openBytes(t, archive))
	}
}

func TestSigningKeepsTheMigrations(t *testing.T) {
	key, trust := newKey(t)
	for _, f := range formats {
		path := t.TempDir() + "/p"
		if err := os.WriteFile(path, moving(nil).in(t, f), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := SignFile(t.Context(), path, DefaultLimits(), key); err != nil {
			t.Fatal(err)
		}
		facts, err := VerifyFile(t.Context(), path, DefaultLimits(), trust)
		if diff := cmp.Diff(moved(), facts.Migrations); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", f, err, diff)
		}
	}
}

func TestMigrationsThatCannotBeBuiltAreRefused(t *testing.T) {
	two := []string{"linux/amd64", "linux/arm64"}
	extra := []byte(migratingManifest)
	short, empty := movers(t, two...), movers(t, two...)
	if err := os.Remove(short["linux/arm64"] + "/drop-old"); err != nil {
		t.Fatal(err)
	}
	write(t, empty["linux/amd64"]+"/item-form", "")
	if err := os.Mkdir(short["linux/amd64"]+"/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		what   string
		recipe Recipe
		names  []string
	}{
		{"no programs", Recipe{Extra: extra}, []string{"there are none for linux/amd64", "--migrations linux/amd64=DIR"}},
		{"none for a platform", Recipe{Extra: extra, Migrations: movers(t, "linux/amd64")}, []string{"--migrations linux/arm64=DIR"}},
		{"those of a platform without a daemon", Recipe{Extra: extra, Migrations: movers(t, append(two, "linux/s390x")...)}, []string{"linux/s390x, but no daemon", "--bin linux/s390x=DIR"}},
		{"none declared", Recipe{Migrations: movers(t, two...)}, []string{"linux/amd64", "declares none", `"migrations"`}},
		{"one missing", Recipe{Extra: extra, Migrations: short}, []string{short["linux/arm64"] + "/drop-old", "put it there"}},
		{"one empty", Recipe{Extra: extra, Migrations: empty}, []string{"item-form", "not a file with a program"}},
		{"one that is a directory", Recipe{Extra: []byte(strings.Replace(migratingManifest, "drop-old", "sub", 1)), Migrations: short}, []string{"sub", "not a file with a program"}},
	}
	for _, r := range rows {
		t.Run(r.what, func(t *testing.T) {
			r.recipe.Version, r.recipe.Bins = "1.1.0", bins(t, two...)
			checkProblem(t, Build(io.Discard, r.recipe), model.Refused, r.names...)
		})
	}
}

// Members of earlier releases read manifests strictly: they must find in a package
// without migrations what they always found there.
func TestAPackageWithoutMigrationsIsWhatItWasBeforeThereWereAny(t *testing.T) {
	extra := []byte("reachable: {from: 1.0.5, skips: [0.9]}\nrequires: {memory: 1GiB}\n")
	archive := build(t, Recipe{Version: "1.1.0", Bins: bins(t, "linux/amd64", "linux/arm64"), Extra: extra})
	const want = "sha256:ae07d5c2d034f77f801a13ba2a248a46bef4a5fa46b6e566ac815cfe5ef7ec31"
	if got := imageOf(string(archive)); got != want {
		t.Errorf("it is %s, and was %s with Go 1.26", got, want)
	}
}
