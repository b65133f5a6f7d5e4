// Package e2e drives real members from the outside: it builds the binaries with
// make, starts them as processes on loopback addresses, loads them with clients
// that write HTTP themselves and never retry, and looks at what the kernel and
// the public API say. The demo, the end-to-end tests, the benchmarks and chaos share it.
//
//	workshop.go  builds, keys and packages, each made once
//	fatten.go    an archive made larger
//	member.go    one theseusd process: start, signal, what the kernel knows of it
//	cluster.go   three of them, joined
//	conn.go      one TLS connection, HTTP/1.1 by hand
//	client.go    a paced client that notes every answer and every failure
//	load.go      many of them, and what they add up to
//	rollout.go   stage, run and follow an upgrade
//	watchman.go  notes who was out of service when
//
// It must never know how a member is made inside: of our packages it imports
// model only, and that for the names on the wire.
package e2e
