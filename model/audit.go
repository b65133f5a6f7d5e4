package model

// Actor is who has something done, and how it came.
type Actor struct {
	By      string `json:"by"`      // the user
	From    string `json:"from"`    // the address that the request came from
	Through string `json:"through"` // the member that was asked, by name
}

// Act is one line of the audit trail: something that somebody changed.
type Act struct {
	Index uint64 `json:"index"` // of its entry in the log: acts are in this order
	At    string `json:"at"`    // RFC 3339, by the clock of the member that was asked
	Actor
	What string `json:"what"` // in words, without the values of parameters
}
