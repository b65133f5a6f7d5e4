// Package staging is the archive format: it reads, verifies, builds and signs
// upgrade packages.
//
// A package is a zip file with
//
//	manifest.yaml               name, version, platforms
//	bin/<os>/<arch>/theseusd    the daemon, for every platform of the manifest
//	bin/<os>/<arch>/theseus     the command line, if the package brings one
//	sha256sums                  every other file, as sha256sum -c reads it
//	sha256sums.minisig          minisign's signature over sha256sums
//
// and whatever other files sha256sums covers. The checks go from cheap to dear:
// the list of files, the signature, the manifest, and only then the bytes, each
// read once. What is refused is refused with a model.Problem that says what to do;
// any other error is the disk's or the caller's.
//
// The package must never know of clusters, members or version rules: which
// member may go to a package's version is not its business, nor where a package
// lies.
package staging
