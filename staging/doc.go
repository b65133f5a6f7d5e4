// Package staging is the archive format: it reads, verifies, builds and signs
// upgrade packages.
//
// A package is a zip or tar.gz file, told by its content, with
//
//	manifest.yaml               name, version, platforms
//	bin/<os>/<arch>/theseusd    the daemon, for every platform of the manifest
//	bin/<os>/<arch>/theseus     the command line, if the package brings one
//	migrations/<os>/<arch>/...  what moves the data, if the manifest declares it
//	sha256sums                  every other file, as sha256sum -c reads it
//	sha256sums.minisig          minisign's signature over sha256sums
//
// and whatever other files sha256sums covers. The checks go from cheap to dear:
// the list of files, the signature, the manifest, and only then the bytes, each
// read once. A tar.gz has no list: its bytes come first, unpacked once without
// keeping any, and what they were is compared at the end. What is refused is
// refused with a model.Problem that says what to do; any other error is the
// disk's or the caller's.
//
// The proof of a package is its small part: sums, signature and manifest. It is
// judged by the same rules without the programs.
//
// The package must never know of clusters, members or version rules: which
// member may go to a package's version is not its business, nor where a package
// lies.
package staging
