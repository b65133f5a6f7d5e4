// Package upgrader is the upgrade: it decides from the record what a member
// does next, does it, and writes down what came of it.
//
// The record (model.Upgrade, replicated) is the only memory. Every member runs
// the same loop: read the record, ask Next, do the one thing it says. Whoever
// leads also wears the leader's hat. Killed anywhere, the next life reads the
// record and goes on; there is no other way in which it ever runs.
//
//	machine.go   the two tables and Next: the upgrade on one screen
//	order.go     who is next
//	wait.go      what is waited for, how long, and what may be done about it
//	loop.go      reads, decides, acts
//	effects.go   what a member does beside proposing: arm, drain, swap, hand over
//	trial.go     the new binary's trial run
//	ask.go       what members ask each other
//	upload.go    an archive's way from a client onto every member
//	admit.go     whether it may go to the cluster at all
//	stage.go     every member's part in that: answer, attest, commit, tidy up
//	attest.go    is this member's own copy good?
//	operate.go   what operators ask for: start, stop and clear, exec
//	tracking.go  the record as people see it
//
// The package knows nothing of HTTP and nothing of Raft's insides: it proposes
// commands and reads the store.
package upgrader
