// Package catalog finds packages by name. A catalog is a directory, or what lies
// below an HTTP(S) address, with
//
//	catalog.yaml           the index: one item for each package
//	catalog.yaml.minisig   minisign's signature over it
//	theseus-1.1.0.zip      the packages, under the names that the index gives
//
// Copied as it is it remains one, so that a site without a network is served by a
// directory. The index is trusted by its signature and says size and SHA-256 of
// each package; a package is held to both, and to its own signature, before it
// gets the name it was downloaded to.
//
// The package must never know of clusters or members: whether one of them may go
// to a version is not its business.
package catalog
