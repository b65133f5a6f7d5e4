// Package model holds the nouns of Theseus: what stands on the wire and in the
// records. It knows their JSON and nothing else: no disk, no network, no policy.
//
// Names in profiles, info, errors and consensus answers follow Digital Rebar's
// wire (PascalCase); the records of an upgrade are ours and use lower case.
package model
