// Package preflight looks for what stands in the way of an upgrade on one member's
// machine, and judges what was gathered of all of them.
//
//	machine.go    what a machine is asked, and its answer
//	disk.go       room, writing, latency, errors of the file system of the data
//	memory.go     of the machine
//	clock.go      the kernel's word on its clock, and how far members are apart
//	contract.go   what a package asks for: companions, settings, a backup
//	names.go      the findings by name
//
// A look changes nothing: the one file that it makes has no name before anything is
// written to it. It must never know of upgrades, records or the network.
package preflight
