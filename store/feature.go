package store

// Feature is something that people can do with this version once the cluster may
// write the command that it needs.
type Feature struct {
	Name  string
	What  string
	Needs Op
	Form  string // the conversion that has to be done before; "" is none
}

// Features are those of this version that an earlier build of it had not, in the
// order in which people should see them.
func Features() []Feature {
	return append([]Feature{
		{Name: "run-options", What: "hold, hold-after, on-failure, ignore, await and force at the start of an upgrade", Needs: OpUpgradeRun},
		{Name: "pause", What: "pausing and resuming an upgrade", Needs: OpUpgradePause},
		{Name: "rollback", What: "taking a whole rollout back before its completion", Needs: OpUpgradeRollback},
		{Name: "proof", What: "the first member's proof that it works, and that the way back is open", Needs: OpUpgradeProof},
		{Name: "leadership-floor", What: "leadership stays with the newest version that has led", Needs: OpClusterFloor},
		{Name: "digests", What: "members compare what two versions made of the same commands", Needs: OpStateDigest},
		{Name: "backups", What: "the automatic backup before a minor or major upgrade, and restoring", Needs: OpBackupMade},
		{Name: "jobs", What: "work that the cluster does once, whoever leads", Needs: OpJobMake},
		{Name: "migrations", What: "migrations that packages bring, and writing parameters in batches", Needs: OpJobMigrate},
		{Name: "audit", What: "the audit trail: who changed what, and from where", Needs: OpAct},
	}, nextFeatures()...)
}
