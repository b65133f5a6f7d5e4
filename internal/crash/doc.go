// Package crash names the points at which a member is killed in tests: around
// every effect that another member, or a later life of this one, could see half
// done. In a normal build a point is a plain call of its effect.
//
// It knows nothing of what the effects do.
package crash

// Points are all names that Point may be called with, in the order in which an
// upgrade passes them. `theseusd crash-points` prints them; a test run that
// reaches one of them neither before nor after its effect has a hole.
func Points() []string {
	return []string{
		"prepare-link",    // the running binary gets its second name, .previous
		"prepare-attempt", // the attempt record is written
		"prepare-watcher", // the watcher is started
		"claim",           // the turn is claimed through the log
		"drain",           // draining is recorded, then the lame duck begins
		"leave",           // leaving is recorded
		"park",            // accepting stops, raft stops, stores close
		"rename",          // the new binary takes the path
		"rename-sync",     // and its directory is synced
		"exec",            // the process becomes the new image
		"report",          // the new image reports itself through the log
		"settle",          // the leader records done
		"transfer",        // leadership is handed over

		// And those that a member passes to which a snapshot is sent.
		"install-records", // the records' file is written and synced
		"install-archive", // an archive's file is
		"install-name",    // the new generation gets its name
		"install-flip",    // it becomes the live one
		"install-remove",  // the one before is removed
	}
}
