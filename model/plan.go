package model

// Plan is the way from the version that runs to another.
type Plan struct {
	From  string   `json:"from"`
	To    string   `json:"to"`
	Hops  []Hop    `json:"hops"`
	Warn  []string `json:"warn,omitempty"`  // what would be wiser
	First []string `json:"first,omitempty"` // what has to be done before the first hop
}

// Hop is one upgrade of a Plan.
type Hop struct {
	From   string `json:"from"`
	To     string `json:"to"`   // a version, or a release line such as 3.2.x where none is known
	Rule   string `json:"rule"` // the name of the rule that decided
	Reason string `json:"reason"`
	Known  string `json:"known,omitempty"` // where the version To is known from: staged or named; "" where it is not
	Backup bool   `json:"backup"`          // a backup is made before
}
