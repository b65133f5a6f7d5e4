// Package binary is a member's own executable: where it is, whether it may be
// replaced, how the next one is laid beside it, tried, swapped in and executed
// in place, and how the old one comes back when the new one does not live.
//
//	own.go            the running executable and the files beside it
//	prerequisites.go  what must hold before anything is changed, place.go too
//	issues.go         what people should know while it runs
//	extract.go        the next executable: bytes, owner, mode, capabilities
//	trial.go          the next executable's self-check
//	attempt.go        what is written down before the swap
//	arm.go, swap.go   the swap, in the order in which a kill does no harm
//	exec.go           becoming the new image with descriptors kept
//	watch.go          the watcher: old code that outlives the daemon and heals it
//	decide.go         the same decision at a supervised start; ends.go: no death counts twice
//	cli.go            the CLI's executable, which is made to match afterwards
//
// Kill the process between any two steps: a binary that runs is at the path.
// All files are the owner's and lie in the directory of the executable, because
// only a rename within one directory is certain to be atomic.
//
// The package must never know what an upgrade is for: nothing of Raft, of the
// store, of HTTP. What passes from old code to new code here (attempt record,
// inherited descriptors, self-check report, arguments of the watcher) carries a
// version and is read strictly.
package binary
