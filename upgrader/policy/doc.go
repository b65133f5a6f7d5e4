// Package policy holds the version rules: whether a member that runs one
// version may go to another, and which hop to take first if it may not. They
// are the rules of Docker Trusted Registry and Mirantis MSR: patches may be
// skipped, minors and majors may not, and nothing goes down.
//
// It is pure: versions and a few facts in, a verdict out. It must never know of
// members, packages, records or disks.
package policy
