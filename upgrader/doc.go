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
//	upload.go    an archive's way from a client onto every member; resume.go and
//	             partial.go: one that was cut; inline.go: the single step
//	admit.go     whether it may go to the cluster at all
//	stage.go     every member's part in that: answer, attest, commit; votes.go counts
//	attest.go    is this member's own copy good?
//	tidy.go      brings the disk in line with the record; cli.go the CLI
//	late.go      a member that was away catches up; offer.go: what its peers do for it
//	schedule.go  starts for later, and windows
//	operate.go   what operators ask for: start, stop and clear, exec; options.go
//	complete.go  completion without a member, by name
//	tracking.go  the record as people see it; issues.go, history.go
//
// The package knows nothing of HTTP and nothing of Raft's insides: it proposes
// commands and reads the store.
package upgrader
