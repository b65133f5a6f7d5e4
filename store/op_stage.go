package store

import "github.com/theseusd/theseus/model"

// StageAnnounce says that an archive is coming.
type StageAnnounce struct {
	Staging model.Staging `json:"staging"`
}

// StageVote is a member's answer to the announcement, or its attestation.
type StageVote struct {
	ID     string     `json:"id"`
	Member string     `json:"member"`
	Vote   model.Vote `json:"vote"`
}

// StageRef names a staging: renew its lease, or say that all its chunks are in the log.
type StageRef struct {
	ID string `json:"id"`
}

// StageCommit turns a staging that every member attested into a staged upgrade.
type StageCommit struct {
	ID      string        `json:"id"`
	Upgrade model.Upgrade `json:"upgrade"`
}

func stageOps() map[Op]op {
	vote := StageVote{ID: "sample", Member: "sample"}
	return map[Op]op{
		OpStageAnnounce: with(first, announce, StageAnnounce{Staging: model.Staging{ID: "sample"}}),
		OpStageAnswer:   with(first, answerStage, vote),
		OpStageRenew:    with(first, renewStage, StageRef{ID: "sample"}),
		OpStageSeal:     with(first, sealStage, StageRef{ID: "sample"}),
		OpStageAttest:   with(first, attestStage, vote),
		OpStageCommit:   with(first, commitStage, StageCommit{ID: "sample"}),
		OpStageDrop:     with(first, dropStage, StageRef{ID: "sample"}),
	}
}

// announce takes the one place for a staging, if no upgrade stands in its way:
// one that has finished does not, once nobody is out who lagged behind.
func announce(e entry, c StageAnnounce) error {
	if e.tx.Bucket(bucketRecords).Get(keyStaging) != nil {
		return ErrConflict
	}
	for _, key := range [][]byte{keyUpgrade, keyRelease} {
		u, ok, err := get[model.Upgrade](e.tx, bucketRecords, key)
		if err != nil {
			return err
		}
		if ok && (u.Phase != model.Finished || u.Turn != nil) {
			return ErrConflict
		}
	}
	return put(e.tx, bucketRecords, keyStaging, c.Staging)
}

// changeStaging changes the staging of that id, and no other.
func changeStaging(e entry, id string, change func(*model.Staging) error) error {
	s, ok, err := get[model.Staging](e.tx, bucketRecords, keyStaging)
	if err != nil {
		return err
	}
	if !ok || s.ID != id {
		return ErrConflict
	}
	if err := change(&s); err != nil {
		return err
	}
	return put(e.tx, bucketRecords, keyStaging, s)
}

func answerStage(e entry, c StageVote) error {
	return changeStaging(e, c.ID, func(s *model.Staging) error {
		s.Answers = voted(s.Answers, c)
		return nil
	})
}

func attestStage(e entry, c StageVote) error {
	return changeStaging(e, c.ID, func(s *model.Staging) error {
		if !s.Sealed {
			return ErrConflict
		}
		s.Attests = voted(s.Attests, c)
		return nil
	})
}

func voted(votes map[string]model.Vote, c StageVote) map[string]model.Vote {
	if votes == nil {
		votes = map[string]model.Vote{}
	}
	votes[c.Member] = c.Vote
	return votes
}

func renewStage(e entry, c StageRef) error {
	return changeStaging(e, c.ID, func(s *model.Staging) error {
		s.Renewed++
		return nil
	})
}

func sealStage(e entry, c StageRef) error {
	return changeStaging(e, c.ID, func(s *model.Staging) error {
		s.Sealed = true
		return nil
	})
}

func commitStage(e entry, c StageCommit) error {
	s, ok, err := get[model.Staging](e.tx, bucketRecords, keyStaging)
	if err != nil {
		return err
	}
	if !ok || s.ID != c.ID || s.Archive.Digest != c.Upgrade.Archive.Digest {
		return ErrConflict
	}
	if err := e.tx.Bucket(bucketRecords).Delete(keyStaging); err != nil {
		return err
	}
	before, ok, err := get[model.Upgrade](e.tx, bucketRecords, keyUpgrade)
	if err == nil && ok { // it has finished: announce saw to that
		err = retire(e, before)
	}
	if err != nil {
		return err
	}
	return put(e.tx, bucketRecords, keyUpgrade, c.Upgrade)
}

func dropStage(e entry, c StageRef) error {
	s, ok, err := get[model.Staging](e.tx, bucketRecords, keyStaging)
	if err != nil {
		return err
	}
	if !ok || s.ID != c.ID {
		return ErrConflict
	}
	return e.tx.Bucket(bucketRecords).Delete(keyStaging)
}
