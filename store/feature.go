package store

// Feature is something that people can do with this version once the cluster may
// write the command that it needs.
type Feature struct {
	Name  string
	What  string
	Needs Op
}

// Features are those of this version that an earlier build of it had not, in the
// order in which people should see them.
func Features() []Feature {
	return append([]Feature{
		{"run-options", "hold, hold-after, on-failure, ignore, await and force at the start of an upgrade", OpUpgradeRun},
		{"pause", "pausing and resuming an upgrade", OpUpgradePause},
		{"rollback", "taking a whole rollout back before its completion", OpUpgradeRollback},
		{"proof", "the first member's proof that it works, and that the way back is open", OpUpgradeProof},
		{"leadership-floor", "leadership stays with the newest version that has led", OpClusterFloor},
		{"digests", "members compare what two versions made of the same commands", OpStateDigest},
		{"backups", "the automatic backup before a minor or major upgrade, and restoring", OpBackupMade},
		{"jobs", "work that the cluster does once, whoever leads", OpJobMake},
	}, nextFeatures()...)
}
