package store

import "github.com/theseusd/theseus/model"

// TurnRef names one attempt of one member: grant it the turn, or withdraw it.
type TurnRef struct {
	ID      string `json:"id"`
	Member  string `json:"member"`
	Attempt int    `json:"attempt"`
	Note    string `json:"note"`
}

// TurnClaim is a member taking the turn that it was granted.
type TurnClaim struct {
	ID      string `json:"id"`
	Member  string `json:"member"`
	Attempt int    `json:"attempt"`
	Boot    string `json:"boot"`
	Note    string `json:"note"`
}

// TurnStep moves the member whose turn it is from one step, if it is still
// there, to another. A step that ends the attempt gives the turn back.
type TurnStep struct {
	ID      string     `json:"id"`
	Member  string     `json:"member"`
	Attempt int        `json:"attempt"`
	From    model.Step `json:"from"`
	To      model.Step `json:"to"`
	Boot    string     `json:"boot"`
	Reason  string     `json:"reason"`
	Note    string     `json:"note"`
	Failed  bool       `json:"failed"` // the build itself failed: remember its digest
}

func turnOps() map[Op]op {
	ref := TurnRef{ID: "sample", Member: "sample"}
	return map[Op]op{
		OpTurnGrant:    with(first, grantTurn, ref),
		OpTurnClaim:    with(first, claimTurn, TurnClaim{ID: "sample", Member: "sample"}),
		OpTurnStep:     with(first, stepTurn, TurnStep{ID: "sample", Member: "sample"}),
		OpTurnWithdraw: with(first, withdrawTurn, ref),
	}
}

// grantTurn gives the one turn to a member, if nobody has it.
func grantTurn(e entry, c TurnRef) error {
	return changeMember(e, c.ID, c.Member, c.Note, func(u *model.Upgrade, p *model.Progress) error {
		if !goes(e, u) || u.Turn != nil || p.Step != model.Waiting || c.Attempt != p.Attempt+1 {
			return ErrConflict
		}
		p.Attempt = c.Attempt
		u.Turn = &model.Turn{Member: c.Member, Attempt: c.Attempt}
		return nil
	})
}

// claimTurn is the lease: one member, one attempt, one process.
func claimTurn(e entry, c TurnClaim) error {
	return changeMember(e, c.ID, c.Member, c.Note, func(u *model.Upgrade, p *model.Progress) error {
		if !holds(u, c.Member, c.Attempt) || u.Turn.Claimed || !mayGo(e, u) {
			return ErrConflict
		}
		u.Turn.Claimed, u.Turn.Boot = true, c.Boot
		p.Claimed, p.Settled = e.at, ""
		p.Step, p.Since, p.Boot, p.Reason = model.Claimed, e.at, c.Boot, ""
		return nil
	})
}

// mayGo says whether the turn that is granted may be claimed still.
func mayGo(e entry, u *model.Upgrade) bool {
	if u.Turn.Back {
		return goesBack(e, u)
	}
	return goes(e, u)
}

func holds(u *model.Upgrade, member string, attempt int) bool {
	return u.Turn != nil && u.Turn.Member == member && u.Turn.Attempt == attempt
}

func stepTurn(e entry, c TurnStep) error {
	if err := rememberFailed(e, c); err != nil {
		return err
	}
	return changeMember(e, c.ID, c.Member, c.Note, func(u *model.Upgrade, p *model.Progress) error {
		if !holds(u, c.Member, c.Attempt) || p.Step != c.From {
			return ErrConflict
		}
		p.Step, p.Since, p.Boot, p.Reason = c.To, e.at, c.Boot, c.Reason
		switch c.To {
		case model.Waiting, model.Returning, model.Done, model.Broken, model.Reverted:
			u.Turn, p.Settled = nil, e.at
		}
		return nil
	})
}

// rememberFailed keeps the digest of a build that a member went back from.
func rememberFailed(e entry, c TurnStep) error {
	if !c.Failed {
		return nil
	}
	return changeRecord(e, c.ID, func(u *model.Upgrade) error {
		if p := u.Member(c.Member); !holds(u, c.Member, c.Attempt) || p == nil || p.Step != c.From {
			return ErrConflict
		}
		cluster, err := must[model.Cluster](e.tx, bucketRecords, keyCluster)
		if err != nil {
			return err
		}
		if cluster.Failed == nil {
			cluster.Failed = map[string]string{}
		}
		cluster.Failed[u.Archive.Digest] = c.Reason
		return put(e.tx, bucketRecords, keyCluster, cluster)
	})
}

// withdrawTurn takes back a turn that was not claimed.
func withdrawTurn(e entry, c TurnRef) error {
	return changeMember(e, c.ID, c.Member, c.Note, func(u *model.Upgrade, p *model.Progress) error {
		if !holds(u, c.Member, c.Attempt) || u.Turn.Claimed {
			return ErrConflict
		}
		u.Turn = nil
		return nil
	})
}
