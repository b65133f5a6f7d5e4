package staging

import "crypto/sha256"

// Proof is the small part of a package that vouches for its programs. It can be
// kept, and sent, without them. A nil signature means that there is none.
type Proof struct {
	Sums      []byte `json:"sums"`
	Signature []byte `json:"signature"`
	Manifest  []byte `json:"manifest"`
}

// Proof reads the proof of a package; it does not judge it.
func (p *Package) Proof() (Proof, error) {
	var proof Proof
	for _, part := range []struct {
		name string
		into *[]byte
	}{{sumsName, &proof.Sums}, {signatureName, &proof.Signature}, {manifestName, &proof.Manifest}} {
		if _, there := p.entries[part.name]; !there && part.name == signatureName {
			continue
		}
		text, err := p.small(part.name)
		if err != nil {
			return Proof{}, err
		}
		*part.into = text
	}
	return proof, nil
}

// Verify judges as Package.Verify does, but for the files themselves: that their
// bytes have the digests of the facts is for whoever has them to hold.
func (p Proof) Verify(t Trust) (Facts, error) {
	all, by, err := p.signed(t)
	if err != nil {
		return Facts{}, err
	}
	return p.facts(all, by)
}

// signed reads the sums once it is known who vouches for them.
func (p Proof) signed(t Trust) (sums, signature, error) {
	if err := p.short(); err != nil {
		return nil, signature{}, err
	}
	by, err := p.judge(t)
	if err != nil {
		return nil, signature{}, err
	}
	all, err := parseSums(p.Sums)
	return all, by, err
}

// short holds the limits of files that are read into memory.
func (p Proof) short() error {
	for name, text := range map[string][]byte{sumsName: p.Sums, signatureName: p.Signature, manifestName: p.Manifest} {
		if err := fits(name, int64(len(text))); err != nil {
			return err
		}
	}
	return nil
}

func (p Proof) judge(t Trust) (signature, error) {
	if p.Signature == nil {
		return t.unsigned()
	}
	return t.judge(p.Sums, p.Signature)
}

// facts reads what the manifest says and the sums vouch for.
func (p Proof) facts(all sums, by signature) (Facts, error) {
	if sha256.Sum256(p.Manifest) != all[manifestName] {
		return Facts{}, changed(manifestName)
	}
	m, err := parseManifest(p.Manifest)
	if err != nil {
		return Facts{}, err
	}
	if err := all.programs(m); err != nil {
		return Facts{}, err
	}
	if err := all.migrations(m); err != nil {
		return Facts{}, err
	}
	return facts(m, all, by), nil
}

// programs holds that there is a daemon for every platform of the manifest, and
// under bin nothing for another.
func (s sums) programs(m Manifest) error {
	named := map[string]bool{}
	for _, platform := range m.Platforms {
		named[platform] = true
		name := daemonName(platform)
		d, there := s[name]
		if !there {
			return refused("%s names the platform %s, but there is no %s: build it with --bin %s=DIR", manifestName, platform, name, platform)
		}
		if d == sha256.Sum256(nil) {
			return refused("%s is empty: build the package again", name)
		}
	}
	for _, name := range s.names() {
		if platform, is := platformOf(name); is && !named[platform] {
			return refused("it holds %s, but %s does not name the platform %s: add it there or leave the file out", name, manifestName, platform)
		}
	}
	return nil
}

func facts(m Manifest, all sums, by signature) Facts {
	f := Facts{Version: m.Version, Rules: m.Rules, Migrations: all.migrated(m), Images: map[string]string{}, CLIs: map[string]string{},
		Signer: by.signer, Trusted: by.trusted, Comment: by.comment}
	for _, platform := range m.Platforms {
		f.Images[platform] = all[daemonName(platform)].String()
		if d, there := all[cliName(platform)]; there {
			f.CLIs[platform] = d.String()
		}
	}
	return f
}
